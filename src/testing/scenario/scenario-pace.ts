/**
 * What takes time while a scenario lets time pass: messages on links with a latency and a bandwidth, writes, loads and
 * machines. It watches a turn, and knows when each thing under way is done. Links and machines are those of the
 * simulator (`wires.ts`, `loops.ts`).
 */

import type { Milliseconds } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import type { Happening } from '../world/actions.js';
import { Agenda } from '../world/agenda.js';
import type { Watcher } from '../world/draft.js';
import { Loops } from '../world/loops.js';
import { isWritable, type Flight } from '../world/state.js';
import type { Turn } from '../world/turn.js';
import { bytesOnWire, Wires } from '../world/wires.js';
import type { ScenarioHeader } from './scenario-header.js';

export type ScenarioTimes = Pick<ScenarioHeader, 'latency' | 'bandwidth' | 'write' | 'load' | 'cost'>;

/** What a replica has under way beside messages. */
export type WorkKind = 'written' | 'loaded' | 'applied' | 'snapshotted' | 'restored';

interface UnderWay {
  readonly what: unknown;
  readonly due: Milliseconds;
}

const IDLE: UnderWay = { what: null, due: Infinity };

export class ScenarioPace implements Watcher {
  /** What follows from full lanes, to be done at once. */
  readonly consequences: Happening[] = [];
  private readonly turn: Turn;
  private readonly times: ScenarioTimes;
  private readonly size: number;
  private readonly agenda = new Agenda<() => void>();
  private readonly wires: Wires;
  private readonly loops: Loops;
  /** By link and ordinal: when a message that has left arrives. */
  private readonly arrivals = new Map<string, Milliseconds>();
  private readonly work: Record<WorkKind, UnderWay>[];
  private now: Milliseconds;

  constructor(turn: Turn, times: ScenarioTimes) {
    this.turn = turn;
    this.times = times;
    this.now = turn.now;
    const { ids } = turn.rules;
    this.size = ids.length;
    this.wires = new Wires(this.size ** 2, this.agenda, times.bandwidth);
    this.loops = new Loops(this.size, this.agenda);
    this.work = ids.map(() => ({ written: IDLE, loaded: IDLE, applied: IDLE, snapshotted: IDLE, restored: IDLE }));
    this.wires.onFull = (link, lane, isFull) => {
      const [from, to] = [this.id(Math.floor(link / this.size)), this.id(link % this.size)];
      this.consequences.push({ kind: isFull ? 'refuse' : 'accept', from, to, lane });
    };
    turn.watcher = this;
    ids.forEach((_, from) => {
      ids.forEach((_, to) => turn.link(from, to).flights.forEach((flight) => this.sent(from, to, flight)));
      this.touched(from);
    });
  }

  private id(place: number): ReplicaId {
    return this.turn.rules.ids[place] as ReplicaId;
  }

  sent(from: number, to: number, flight: Flight): void {
    const { turn, wires, arrivals } = this;
    const key = `${from} ${to} ${flight.ordinal}`;
    this.now = Math.max(this.now, turn.now);
    wires.put(this.now, from * this.size + to, flight.lane, bytesOnWire(turn.rules, flight.payload), {
      sent: () => arrivals.set(key, this.now + this.times.latency),
      lost: () => this.consequences.push({ kind: 'drop', from: this.id(from), to: this.id(to), pick: flight.ordinal }),
    });
  }

  touched(place: number): void {
    const { turn, times, loops } = this;
    const slot = turn.slot(place);
    const { process, loads, applying, taking, restoring } = slot;
    const writing = isWritable(slot) ? slot.writing : null;
    const work = this.work[place] as Record<WorkKind, UnderWay>;
    const begin = (kind: WorkKind, what: unknown, due: () => Milliseconds): void => {
      if (what === work[kind].what) return;
      work[kind] = what === null ? IDLE : { what, due: due() };
    };
    begin('written', writing, () => turn.now + times.write);
    begin('loaded', loads[0] ?? null, () => turn.now + times.load);
    begin('snapshotted', taking, () => turn.now + times.write);
    begin('restored', restoring, () => turn.now + times.load);
    begin('applied', applying, () => loops.work(turn.now, place, (applying?.length ?? 0) * times.cost));
    if (process !== null) return;
    loops.crash(place);
    this.wires.crash(Array.from({ length: this.size }, (_, to) => place * this.size + to));
  }

  stepped(): void {}

  /** A replica's action: what waits for a connection that is lost goes with it. */
  acted(happening: Happening): void {
    if (happening.kind !== 'disconnect') return;
    const { places } = this.turn.rules;
    const [from, to] = [places.get(happening.replica) as number, places.get(happening.peer) as number];
    const { process, paused } = this.turn.slot(from);
    if (process !== null && !paused) this.wires.lose(from * this.size + to, happening.lane);
  }

  /** When the next frame has left, `Infinity` if none is under way. */
  get nextFrame(): Milliseconds {
    return this.agenda.nextAt;
  }

  /** Lets frames leave, up to this time. */
  advance(time: Milliseconds): void {
    while (this.agenda.nextAt <= time) {
      this.now = Math.max(this.now, this.agenda.nextAt);
      this.agenda.take()();
    }
    this.now = Math.max(this.now, time);
  }

  /** When a message is handled by its receiver; `Infinity` while it has not left. */
  handledAt(from: number, to: number, { ordinal }: Flight): Milliseconds {
    const at = this.arrivals.get(`${from} ${to} ${ordinal}`) ?? Infinity;
    return at === Infinity ? at : this.loops.inputAt(at, to);
  }

  /** When a tick that is due then is handled. */
  tickedAt(place: number, due: Milliseconds): Milliseconds {
    return due === Infinity ? due : this.loops.inputAt(due, place);
  }

  /** When this work is done and its process told; `Infinity` if there is none. */
  doneAt(place: number, kind: WorkKind): Milliseconds {
    const { due } = (this.work[place] as Record<WorkKind, UnderWay>)[kind];
    return due === Infinity || kind === 'applied' ? due : this.loops.inputAt(due, place);
  }

  /** Whether such work takes no time. */
  isInstant(kind: WorkKind): boolean {
    const { write, load, cost } = this.times;
    return { written: write, snapshotted: write, loaded: load, restored: load, applied: cost }[kind] === 0;
  }
}
