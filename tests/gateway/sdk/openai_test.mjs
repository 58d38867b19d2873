// openai's SDK before the gateway: Chat Completions and Responses. Answered by story.json.
import assert from 'node:assert/strict';
import test from 'node:test';

import OpenAI from 'openai';

import {counted, doors, pixel} from './doors.mjs';

const client = (door, more) =>
  new OpenAI({baseURL: door.url + '/v1', apiKey: door.token, ...more});
const sdk = client(doors.wide);
const chat = (words, more) => ({
  model: doors.model, max_completion_tokens: 500, messages: [
    {role: 'developer', content: 'Be kind.'}, {role: 'user', content: words}], ...more});
const respond = (words, more) => ({
  model: doors.model, max_output_tokens: 500, instructions: 'Be kind.', input: words, ...more});
const parameters = {type: 'object', properties: {city: {type: 'string'}}, required: ['city'],
                    additionalProperties: false};
const weather = {name: 'weather', description: 'Tells the weather.', parameters, strict: true};
const picture = `data:image/png;base64,${pixel}`;

test('chat: a whole answer', async () => {
  const answer = await sdk.chat.completions.create(chat('greet me', {
    temperature: 0.5, stop: ['END'], user: 'someone', seed: 1}));
  assert.equal(answer.choices[0].message.content, 'Good morning.');
  assert.equal(answer.choices[0].finish_reason, 'stop');
  assert.ok(answer.usage.total_tokens > 0);
});

test('chat: a stream, its usage only where it is asked for', async () => {
  for (const stream_options of [undefined, {include_usage: true}]) {
    const stream = await sdk.chat.completions.create(
      chat('greet me', {stream: true, stream_options}));
    let heard = '', usages = 0, empty = 0;
    for await (const chunk of stream) {
      heard += chunk.choices[0]?.delta.content ?? '';
      empty += chunk.choices.length === 0;
      usages += Boolean(chunk.usage);
    }
    assert.equal(heard, 'Good morning.');
    assert.deepEqual([usages, empty], stream_options ? [1, 1] : [0, 0]);
  }
});

for (const streams of [false, true]) {
  test(`chat: tools and their results, ${streams ? 'streaming' : 'whole'}`, async () => {
    const request = chat('weather in two cities', {tools: [{type: 'function', function: weather}],
                                                   parallel_tool_calls: true});
    const turn = async () => streams ?
      (await sdk.chat.completions.stream(request).finalChatCompletion()).choices[0] :
      (await sdk.chat.completions.create(request)).choices[0];
    const first = await turn();
    assert.equal(first.finish_reason, 'tool_calls');
    const given = first.message.tool_calls.map(call => JSON.parse(call.function.arguments).city);
    assert.deepEqual(given, ['Bern', 'Rome']);
    request.messages.push(
      {role: 'assistant', content: null, tool_calls: first.message.tool_calls.map(
        ({id, type, function: {name, arguments: text}}) =>
          ({id, type, function: {name, arguments: text}}))},
      ...first.message.tool_calls.map((call, i) => (
        {role: 'tool', tool_call_id: call.id, content: `sunny in ${given[i]}`})));
    assert.equal((await turn()).message.content, 'Sunny in both.');
  });
}

test('chat: the tool runner', async () => {
  const ran = [];
  const runner = sdk.chat.completions.runTools(chat('weather in two cities', {tools: [{
    type: 'function', function: {...weather, parse: JSON.parse, function: given => {
      ran.push(given.city);
      return `sunny in ${given.city}`;
    }}}]}));
  assert.equal(await runner.finalContent(), 'Sunny in both.');
  assert.deepEqual(ran, ['Bern', 'Rome']);
});

test('chat: an inline picture passes, one to be fetched does not', async () => {
  const with_picture = url => chat([
    {type: 'text', text: 'greet me'}, {type: 'image_url', image_url: {url, detail: 'low'}}]);
  const answer = await sdk.chat.completions.create(with_picture(picture));
  assert.equal(answer.choices[0].message.content, 'Good morning.');
  await assert.rejects(sdk.chat.completions.create(with_picture('https://example.com/a.png')),
                       OpenAI.BadRequestError);
});

test('chat: reasoning is passed on', async () => {
  const answer = await sdk.chat.completions.create(chat('think first', {reasoning_effort: 'low'}));
  assert.equal(answer.choices[0].message.reasoning_content, 'It is a riddle.');
});

test('responses: a whole answer', async () => {
  const answer = await sdk.responses.create(respond('greet me', {
    store: false, include: ['reasoning.encrypted_content'], reasoning: {effort: 'low'},
    text: {verbosity: 'low'}, prompt_cache_key: 'one'}));
  assert.equal(answer.output_text, 'Good morning.');
  assert.equal(answer.status, 'completed');
  assert.ok(answer.usage.output_tokens > 0);
});

test('responses: a stream', async () => {
  let heard = '';
  const stream = sdk.responses.stream(respond('greet me'));
  stream.on('response.output_text.delta', event => { heard += event.delta; });
  assert.equal((await stream.finalResponse()).output_text, 'Good morning.');
  assert.equal(heard, 'Good morning.');
});

for (const streams of [false, true]) {
  test(`responses: tools and their results, ${streams ? 'streaming' : 'whole'}`, async () => {
    const input = [{role: 'user', content: 'weather in two cities'}];
    const turn = () => {
      const request = respond(input, {tools: [{type: 'function', ...weather}]});
      return streams ? sdk.responses.stream(request).finalResponse() :
        sdk.responses.create(request);
    };
    const first = await turn();
    const calls = first.output.filter(item => item.type === 'function_call');
    const given = calls.map(call => JSON.parse(call.arguments).city);
    assert.deepEqual(given, ['Bern', 'Rome']);
    for (const {type, id, status, call_id, name, arguments: text} of calls) {
      input.push({type, id, status, call_id, name, arguments: text});
    }
    calls.forEach((call, i) => input.push({
      type: 'function_call_output', call_id: call.call_id, output: `sunny in ${given[i]}`}));
    assert.equal((await turn()).output_text, 'Sunny in both.');
  });
}

test('responses: reasoning may be sent back', async () => {
  const input = [{role: 'user', content: 'think first'}];
  const first = await sdk.responses.create(
    respond(input, {include: ['reasoning.encrypted_content']}));
  assert.equal(first.output[0].type, 'reasoning');
  assert.equal(first.output[0].encrypted_content, 'c2lnbmVk');
  input.push(...first.output, {role: 'user', content: [
    {type: 'input_text', text: 'greet me'}, {type: 'input_image', image_url: picture}]});
  assert.equal((await sdk.responses.create(respond(input))).output_text, 'Good morning.');
});

test('responses: what the provider would run, keep or fetch is refused', async () => {
  const refused = [{tools: [{type: 'web_search'}]}, {store: true}, {background: true},
                   {previous_response_id: 'resp_1'}];
  for (const more of refused) {
    await assert.rejects(sdk.responses.create(respond('greet me', more)), error =>
      error instanceof OpenAI.BadRequestError && error.type === 'invalid_request_error');
  }
});

test('the attempt has one model', async () => {
  const names = [];
  for await (const model of sdk.models.list()) names.push(model.id);
  assert.deepEqual(names, [doors.model]);
  assert.equal((await sdk.models.retrieve(doors.model)).id, doors.model);
});

test('a wrong token is told as that, and not tried again', async () => {
  const calls = counted();
  const stranger = client(doors.wide, {apiKey: 'not-the-token-of-it', fetch: calls.fetch});
  for (const asked of [() => stranger.chat.completions.create(chat('greet me')),
                       () => stranger.responses.create(respond('greet me'))]) {
    await assert.rejects(asked(), error =>
      error instanceof OpenAI.AuthenticationError && error.code === 'invalid_api_key');
  }
  assert.equal(calls.count, 2);
});

test('a spent budget is told once, as a 400', async () => {
  const calls = counted();
  const poor = client(doors.empty, {fetch: calls.fetch});
  for (const asked of [() => poor.chat.completions.create(chat('greet me')),
                       () => poor.responses.create(respond('greet me'))]) {
    await assert.rejects(asked(), error =>
      error instanceof OpenAI.BadRequestError && /budget/.test(error.message));
  }
  assert.equal(calls.count, 2);
});

test('where money is reserved by a request under way, the SDK waits and asks again', async () => {
  const calls = counted();
  const tight = client(doors.tight, {fetch: calls.fetch, maxRetries: 8});
  const under_way = await tight.chat.completions.create(
    chat('be slow', {max_completion_tokens: 50000, stream: true}));
  const second = await tight.responses.create(respond('greet me', {max_output_tokens: 20000}));
  assert.equal(second.output_text, 'Good morning.');
  assert.ok(calls.statuses.includes(429), String(calls.statuses));
  let heard = '';
  for await (const chunk of under_way) heard += chunk.choices[0]?.delta.content ?? '';
  assert.equal(heard, doors.slow_text);
});

test('who goes away ends the request upstream', async () => {
  for (const asked of [() => sdk.chat.completions.create(chat('be slow', {stream: true})),
                       () => sdk.responses.create(respond('be slow', {stream: true}))]) {
    const stream = await asked();
    for await (const event of stream) {
      if (event) break;  // which aborts
    }
    assert.ok(stream.controller.signal.aborted);
  }
});
