// @anthropic-ai/sdk before the gateway. What is asked is answered by story.json, by the words.
import assert from 'node:assert/strict';
import test from 'node:test';

import Anthropic from '@anthropic-ai/sdk';

import {counted, doors, pixel} from './doors.mjs';

const client = (door, more) => new Anthropic({baseURL: door.url, apiKey: door.token, ...more});
const sdk = client(doors.wide);
const ask = (words, more) => ({
  model: doors.model, max_tokens: 500, messages: [{role: 'user', content: words}], ...more});
const weather = {
  name: 'weather', description: 'Tells the weather.',
  input_schema: {type: 'object', properties: {city: {type: 'string'}}, required: ['city']}};

test('a whole answer', async () => {
  const answer = await sdk.messages.create(ask('greet me', {
    system: [{type: 'text', text: 'Be kind.', cache_control: {type: 'ephemeral'}}],
    temperature: 0.5, stop_sequences: ['END'], metadata: {user_id: 'someone'}}));
  assert.equal(answer.content[0].text, 'Good morning.');
  assert.equal(answer.stop_reason, 'end_turn');
  assert.ok(answer.usage.input_tokens > 0 && answer.usage.output_tokens > 0);
});

test('a stream', async () => {
  let heard = '';
  const stream = sdk.messages.stream(ask('greet me')).on('text', text => { heard += text; });
  const answer = await stream.finalMessage();
  assert.equal(heard, 'Good morning.');
  assert.equal(answer.content[0].text, heard);
  assert.ok(answer.usage.output_tokens > 1);
});

for (const streams of [false, true]) {
  test(`a tool is called and its result understood, ${streams ? 'streaming' : 'whole'}`, async () => {
    const messages = [{role: 'user', content: 'weather in two cities'}];
    const turn = more => {
      const request = {...ask('', more), messages, tools: [weather]};
      return streams ? sdk.messages.stream(request).finalMessage() : sdk.messages.create(request);
    };
    const first = await turn({tool_choice: {type: 'auto', disable_parallel_tool_use: false}});
    assert.equal(first.stop_reason, 'tool_use');
    const calls = first.content.filter(block => block.type === 'tool_use');
    assert.deepEqual(calls.map(call => call.input.city), ['Bern', 'Rome']);
    messages.push({role: 'assistant', content: first.content});
    messages.push({role: 'user', content: calls.map(call => ({
      type: 'tool_result', tool_use_id: call.id,
      content: [{type: 'text', text: `sunny in ${call.input.city}`}]}))});
    assert.equal((await turn()).content[0].text, 'Sunny in both.');
  });
}

test('the tool runner, where it keeps the conversation itself', async () => {
  const ran = [];
  const run = more => sdk.beta.messages.toolRunner({
    ...ask('weather in two cities'), ...more, tools: [{
      ...weather, parse: given => given, type: 'custom',
      run: given => { ran.push(given.city); return `sunny in ${given.city}`; }}]});
  await assert.rejects(run({}).runUntilDone(), /'thread' is not allowed/);  // the provider would keep it
  assert.equal((await run({thread: false})).content[0].text, 'Sunny in both.');
  assert.deepEqual(ran, ['Bern', 'Rome']);
});

test('thinking comes with its signature, and may be sent back', async () => {
  const thinking = {type: 'enabled', budget_tokens: 1024};
  const request = ask('think first', {thinking, max_tokens: 4000});
  const first = await sdk.messages.stream(request).finalMessage();
  assert.deepEqual(first.content[0], {
    type: 'thinking', thinking: 'It is a riddle.', signature: 'c2lnbmVk'});
  request.messages.push({role: 'assistant', content: first.content},
                        {role: 'user', content: 'greet me'});
  assert.equal((await sdk.messages.create(request)).content[0].text, 'Good morning.');
});

test('an inline picture passes, one to be fetched does not', async () => {
  const with_picture = source => ask([{type: 'image', source}, {type: 'text', text: 'greet me'}]);
  const inline = {type: 'base64', media_type: 'image/png', data: pixel};
  assert.equal((await sdk.messages.create(with_picture(inline))).content[0].text, 'Good morning.');
  await assert.rejects(
    sdk.messages.create(with_picture({type: 'url', url: 'https://example.com/a.png'})),
    error => error instanceof Anthropic.BadRequestError && /source of type 'url'/.test(error.message));
});

test('tokens are counted', async () => {
  const {model, messages} = ask('greet me');
  assert.ok((await sdk.messages.countTokens({model, messages, tools: [weather]})).input_tokens > 0);
});

test('the attempt has one model', async () => {
  const names = [];
  for await (const model of sdk.models.list()) names.push(model.id);
  assert.deepEqual(names, [doors.model]);
  assert.equal((await sdk.models.retrieve(doors.model)).id, doors.model);
  await assert.rejects(sdk.messages.create({...ask('greet me'), model: 'another'}),
                       Anthropic.BadRequestError);
});

test('a tool that the provider runs is refused by name', async () => {
  await assert.rejects(
    sdk.messages.create(ask('greet me', {tools: [{type: 'web_search_20250305', name: 'web_search'}]})),
    error => error.status === 400 && error.error.error.type === 'invalid_request_error' &&
      /web_search_20250305/.test(error.message));
});

test('a wrong token is told as that, and not tried again', async () => {
  const calls = counted();
  const stranger = client(doors.wide, {apiKey: 'not-the-token-of-it', fetch: calls.fetch});
  await assert.rejects(stranger.messages.create(ask('greet me')), Anthropic.AuthenticationError);
  assert.equal(calls.count, 1);
});

test('a spent budget is told once, as a 400', async () => {
  const calls = counted();
  const poor = client(doors.empty, {fetch: calls.fetch});
  await assert.rejects(poor.messages.create(ask('greet me')), error =>
    error instanceof Anthropic.BadRequestError && /budget/.test(error.message));
  assert.equal(calls.count, 1);
});

test('where money is reserved by a request under way, the SDK waits and asks again', async () => {
  const calls = counted();
  const tight = client(doors.tight, {fetch: calls.fetch, maxRetries: 8});
  const under_way = tight.messages.stream(ask('be slow', {max_tokens: 50000}));
  await new Promise(begun => under_way.once('streamEvent', begun));
  const second = await tight.messages.create(ask('greet me', {max_tokens: 20000}));
  assert.equal(second.content[0].text, 'Good morning.');
  assert.ok(calls.statuses.includes(429), String(calls.statuses));
  assert.equal((await under_way.finalMessage()).content[0].text, doors.slow_text);
});

test('who goes away ends the request upstream', async () => {
  const stream = sdk.messages.stream(ask('be slow'));
  await new Promise(begun => stream.once('text', begun));
  stream.abort();
  await assert.rejects(stream.done(), Anthropic.APIUserAbortError);
});
