/** Histories from papers, quizzes and post-mortems, each with its verdict. */

import {
  counterModel,
  keyedModel,
  keyValueModel,
  logModel,
  registerModel,
} from '../../../src/testing/history/models.js';
import type { AnyModel } from './histories.js';

export interface KnownHistory {
  readonly name: string;
  readonly model: AnyModel;
  readonly verdict: 'linearizable' | 'violation';
  readonly text: string;
}

const register = registerModel(0);

export const histories: readonly KnownHistory[] = [
  {
    name: 'a read that overlaps the write it sees',
    model: register,
    verdict: 'linearizable',
    text: 'a invoke write 1\nb invoke read\nb ok 1\na ok',
  },
  {
    // MIT 6.824, quiz 2 of 2017, as in the tests of Porcupine.
    name: 'two reads within one write, of which the first to end sees the old value',
    model: register,
    verdict: 'linearizable',
    text: 'a invoke write 1\nb invoke read\nc invoke read\nc ok 0\nb ok 1\na ok',
  },
  {
    name: 'the value goes back: new, then old, within one write',
    model: register,
    verdict: 'violation',
    text: 'a invoke write 1\nb invoke read\nb ok 1\nc invoke read\nc ok 0\na ok',
  },
  {
    name: 'a stale read',
    model: register,
    verdict: 'violation',
    text: 'a invoke write 1\na ok\nb invoke write 2\nb ok\nc invoke read\nc ok 1',
  },
  {
    name: 'a phantom value',
    model: register,
    verdict: 'violation',
    text: 'a invoke write 1\na ok\nb invoke read\nb ok 7',
  },
  {
    name: 'a dirty read: of what failed',
    model: register,
    verdict: 'violation',
    text: 'a invoke write 1\na fail\nb invoke read\nb ok 1',
  },
  {
    name: 'a lost acknowledged write',
    model: register,
    verdict: 'violation',
    text: 'a invoke write 1\na ok\nb invoke read\nb ok 0',
  },
  {
    name: 'a write of unknown outcome that took effect long after',
    model: register,
    verdict: 'linearizable',
    text: 'a invoke write 1\na unknown\nb invoke read\nb ok 0\nb invoke read\nb ok 0\nb invoke read\nb ok 1',
  },
  {
    name: 'a write of unknown outcome that took effect twice',
    model: register,
    verdict: 'violation',
    text: [
      'a invoke write 1\na unknown\nb invoke read\nb ok 1\nb invoke write 2\nb ok',
      'c invoke read\nc ok 2\nc invoke read\nc ok 1',
    ].join('\n'),
  },
  {
    name: 'a write of unknown outcome that took effect before it was called',
    model: register,
    verdict: 'violation',
    text: 'b invoke read\nb ok 1\na invoke write 1\na unknown',
  },
  {
    name: 'a split register: two halves, each with a leader of its own',
    model: register,
    verdict: 'violation',
    text: 'a invoke write 1\na ok\nb invoke write 2\nb ok\na invoke read\na ok 1\nb invoke read\nb ok 2',
  },
  {
    name: 'two readers that disagree on the order of two writes at once',
    model: register,
    verdict: 'violation',
    text: [
      'a invoke write 1\nb invoke write 2\nc invoke read\nd invoke read\nc ok 1\nd ok 2',
      'c invoke read\nd invoke read\nc ok 2\nd ok 1\na ok\nb ok',
    ].join('\n'),
  },
  {
    name: 'a compare-and-set that two win',
    model: register,
    verdict: 'violation',
    text: 'a invoke cas 0 1\nb invoke cas 0 2\na ok true\nb ok true',
  },
  {
    name: 'a compare-and-set that one wins',
    model: register,
    verdict: 'linearizable',
    text: 'a invoke cas 0 1\nb invoke cas 0 2\na ok false\nb ok true',
  },
  {
    name: 'a compare-and-set that nobody wins',
    model: register,
    verdict: 'violation',
    text: 'a invoke cas 0 1\nb invoke cas 0 2\na ok false\nb ok false',
  },
  {
    name: 'a lost update',
    model: counterModel(),
    verdict: 'violation',
    text: 'a invoke add 1\nb invoke add 1\na ok 1\nb ok 1',
  },
  {
    name: 'a command that a retry applied twice',
    model: counterModel(),
    verdict: 'violation',
    text: 'a invoke add 1\na ok\nb invoke read\nb ok 2',
  },
  {
    name: 'sums of additions at once, whose order shows',
    model: counterModel(),
    verdict: 'linearizable',
    text: 'a invoke add 1\nb invoke add 5\nc invoke add 2\nb ok 7\nc ok 2\na ok 8',
  },
  {
    name: 'a value that came back after it was deleted',
    model: keyValueModel(),
    verdict: 'violation',
    text: 'a invoke put x 1\na ok\na invoke delete x\na ok true\nb invoke get x\nb ok 1',
  },
  {
    name: 'a deletion lost, then another',
    model: keyValueModel(),
    verdict: 'linearizable',
    text: [
      'a invoke put x 1\na ok\nb invoke delete x\nb unknown\nc invoke delete x\nc ok false',
      'd invoke cas x null 3\nd ok true\nd invoke get x\nd ok 3',
    ].join('\n'),
  },
  {
    name: 'each key by itself right, though no order of both shows at once (linearizability is local)',
    model: keyValueModel(),
    verdict: 'linearizable',
    text: [
      'a invoke put x 1\nb invoke put y 1\nc invoke get x\nc ok 1\nc invoke get y\nc ok null',
      'd invoke get y\nd ok 1\nd invoke get x\nd ok 1\na ok\nb ok',
    ].join('\n'),
  },
  {
    name: 'a stale read of one key among others',
    model: keyedModel(registerModel()),
    verdict: 'violation',
    text: 'a invoke write x 1\na ok\nb invoke write y 2\nb ok\nc invoke read y\nc ok 2\nc invoke read x\nc ok null',
  },
  {
    name: 'a log in which readers see different orders',
    model: logModel(),
    verdict: 'violation',
    text: 'a invoke append 1\nb invoke append 2\nc invoke read\nd invoke read\nc ok [1,2]\nd ok [2,1]\na ok\nb ok',
  },
  {
    name: 'a log with a lost append in the middle',
    model: logModel(),
    verdict: 'linearizable',
    text: 'a invoke append 1\nb invoke append 2\nb unknown\nc invoke append 3\na ok 1\nc ok 3\nd invoke read\nd ok [1,2,3]',
  },
];
