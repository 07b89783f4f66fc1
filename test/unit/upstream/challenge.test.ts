import fc from 'fast-check';
import { expect, test } from 'vitest';
import { splitChallenges } from '../../../src/upstream/exchange/challenge.ts';

test.each([
  ['Basic realm="example.com"', ['Basic realm="example.com"']],
  [
    'FooBar param1="value1" param2="value2", Basic realm="example.com"',
    ['FooBar param1="value1" param2="value2"', 'Basic realm="example.com"'],
  ],
  [
    'Bearer authorize_uri="id.example.com" p=1 q=0, Basic realm="example.com"',
    ['Bearer authorize_uri="id.example.com" p=1 q=0', 'Basic realm="example.com"'],
  ],
  [
    'Digest realm="a, b", qop="auth, auth-int", nonce="x", Basic realm="y"',
    ['Digest realm="a, b", qop="auth, auth-int", nonce="x"', 'Basic realm="y"'],
  ],
  ['Negotiate, NTLM, Basic realm="x"', ['Negotiate', 'NTLM', 'Basic realm="x"']],
  ['Negotiate YWJj==, Basic realm = "x", charset="UTF-8"', ['Negotiate YWJj==', 'Basic realm = "x", charset="UTF-8"']],
  ['Basic realm="a \\", Bearer x=\\"", Bearer realm="z"', ['Basic realm="a \\", Bearer x=\\""', 'Bearer realm="z"']],
  [', Basic realm="x",, ,', ['Basic realm="x"']],
  ['Basic realm="never closed, Bearer', ['Basic realm="never closed, Bearer']],
  ['', []],
] as const)('%s', (value, challenges) => {
  expect(splitChallenges(value)).toEqual(challenges);
});

test('what was joined comes apart', () => {
  const scheme = fc.constantFrom('Basic', 'Bearer', 'Digest', 'X-Own');
  const parameter = fc
    .tuple(fc.constantFrom('realm', 'p', 'scope'), fc.string({ maxLength: 8 }))
    .map(([name, text]) => `${name}="${text.replace(/[^ -~]/g, '').replace(/["\\]/g, (c) => `\\${c}`)}"`);
  const challenge = fc
    .tuple(scheme, fc.array(parameter, { maxLength: 3 }))
    .map(([name, list]) => (list.length === 0 ? name : `${name} ${list.join(', ')}`));
  fc.assert(
    fc.property(fc.array(challenge, { maxLength: 4 }), (challenges) => {
      expect(splitChallenges(challenges.join(', '))).toEqual(challenges);
    }),
  );
});
