#!/usr/bin/env node
// An agent of few lines, with the SDK of OpenAI: it is told prompt.txt, and writes what it is told to.
import {readFileSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';

const OpenAI = createRequire('/deps/')('openai');
const {model} = JSON.parse(readFileSync('/germline/task.json', 'utf8'));
const prompt = readFileSync(new URL('prompt.txt', import.meta.url), 'utf8');
const string = {type: 'string'};
const tools = [{type: 'function', name: 'write', description: 'Writes a file.', strict: true, parameters: {
  type: 'object', properties: {path: string, text: string}, required: ['path', 'text'],
  additionalProperties: false}}];
const input = [{role: 'user', content: prompt}];
const sdk = new OpenAI();

for (;;) {
  const request = {model, max_output_tokens: 500, input, tools, store: false};
  const answer = await sdk.responses.stream(request).finalResponse();
  const calls = answer.output.filter(item => item.type === 'function_call');
  if (calls.length === 0) break;
  for (const {type, call_id, name, arguments: given} of calls) {
    const {path, text} = JSON.parse(given);
    writeFileSync(path, text);
    input.push({type, call_id, name, arguments: given},
               {type: 'function_call_output', call_id, output: 'written: ' + path});
  }
}
