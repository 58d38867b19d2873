// What sdk_test.py tells: the gateways, each with its URL and token, and the model.
export const doors = JSON.parse(process.env.GERMLINE_DOORS);

export const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9' +
  'awAAAABJRU5ErkJggg==';

/// A fetch that counts, and notes the status of each answer.
export function counted() {
  const calls = {count: 0, statuses: [], fetch: async (url, init) => {
    calls.count += 1;
    const answer = await fetch(url, init);
    calls.statuses.push(answer.status);
    return answer;
  }};
  return calls;
}
