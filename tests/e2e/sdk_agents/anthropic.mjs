#!/usr/bin/env node
// An agent of few lines, with the SDK of Anthropic: it is told prompt.txt, and writes what it is told to.
import {readFileSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';

const Anthropic = createRequire('/deps/')('@anthropic-ai/sdk');
const {model} = JSON.parse(readFileSync('/germline/task.json', 'utf8'));
const prompt = readFileSync(new URL('prompt.txt', import.meta.url), 'utf8');
const string = {type: 'string'};
const tools = [{name: 'write', description: 'Writes a file.', input_schema: {
  type: 'object', properties: {path: string, text: string}, required: ['path', 'text']}}];
const messages = [{role: 'user', content: prompt}];
const sdk = new Anthropic();

for (;;) {
  const request = {model, max_tokens: 500, messages, tools};
  const answer = await sdk.messages.stream(request).finalMessage();
  messages.push({role: 'assistant', content: answer.content});
  const calls = answer.content.filter(block => block.type === 'tool_use');
  if (calls.length === 0) break;
  messages.push({role: 'user', content: calls.map(({id, input}) => {
    writeFileSync(input.path, input.text);
    return {type: 'tool_result', tool_use_id: id, content: 'written: ' + input.path};
  })});
}
