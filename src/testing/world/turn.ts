/**
 * A world in the hands of whoever runs it: one action after the other, each with everything that follows from it at
 * once. A draft of the world is worked on by its network, disks, applications, callers and processes; this file says
 * which of them an action is for. All checks that do not depend on who runs it happen on the way.
 */

import type { ReplicaId } from '../../core/members.js';
import type { DiskView } from '../../core/model.js';
import type { Milliseconds } from '../../core/protocol.js';
import type { StateMachine } from '../../replica/state-machine.js';
import type { Action } from './actions.js';
import { Applications } from './applications.js';
import { Callers } from './callers.js';
import { Disks } from './disks.js';
import { WorldDraft, type Watcher } from './draft.js';
import type { Observer } from './facts.js';
import { Hosting } from './hosting.js';
import { Network } from './network.js';
import type { RecordDraft } from './record.js';
import type { Link, Rules, Slot, World } from './state.js';

/** What concerns one replica. */
type ReplicaAction = Extract<Action, { readonly replica: ReplicaId }>;

export class Turn {
  readonly rules: Rules;
  readonly record: RecordDraft;
  readonly network: Network;
  private readonly draft: WorldDraft;
  private readonly disks: Disks;
  private readonly applications: Applications;
  private readonly callers: Callers;
  private readonly hosting: Hosting;

  constructor(world: World, observer?: Observer) {
    const draft = new WorldDraft(world, observer);
    this.draft = draft;
    this.rules = draft.rules;
    this.record = draft.record;
    this.network = new Network(draft);
    this.disks = new Disks(draft);
    this.applications = new Applications(draft);
    this.callers = new Callers(draft);
    const { network, disks, applications, callers } = this;
    this.hosting = new Hosting(draft, { network, disks, applications, callers });
  }

  // What the draft knows.

  get now(): Milliseconds {
    return this.draft.now;
  }

  set now(now: Milliseconds) {
    this.draft.now = now;
  }

  set watcher(watcher: Watcher | null) {
    this.draft.watcher = watcher;
  }

  slot(place: number): Slot {
    return this.draft.slot(place);
  }

  link(from: number, to: number): Link {
    return this.draft.link(from, to);
  }

  /** What a loss of power would leave. */
  diskView(place: number): DiskView {
    return this.draft.diskView(place);
  }

  /** The state machine of a replica, as far as it has come. */
  machine(place: number): StateMachine {
    return this.draft.machine(place);
  }

  /** Takes up another world of the same rules, as if made for it: much cheaper than another turn. */
  rewind(world: World): void {
    this.draft.rewind(world);
  }

  /** The world as it is now. The turn may go on. */
  finish(): World {
    return this.draft.finish();
  }

  // What happens.

  /**
   * Makes an action happen, and everything that follows from it at once.
   * @throws InvariantViolation when something happened that must not; the turn is of no use then
   */
  run(action: Action): void {
    const { draft } = this;
    const { pending } = draft;
    if (action.at > draft.now) draft.now = action.at;
    if (draft.observed) draft.tell({ kind: 'action', action });
    this.begin(action);
    if (pending.length === 0) return;
    for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
      this.hosting.step(next.place, next.event);
    }
  }

  private begin(action: Action): void {
    switch (action.kind) {
      case 'deliver':
      case 'duplicate':
      case 'drop': {
        const event = this.network.move(action);
        return event === null ? undefined : this.hosting.step(this.draft.placeOf(action.to), event);
      }
      case 'cut':
      case 'heal':
        return this.network.cut(action.from, action.to, action.kind === 'cut');
      case 'cancel':
        return this.callers.cancel(action.calls);
      case 'wait':
        return;
      default:
        return this.beginAt(this.draft.placeOf(action.replica), action);
    }
  }

  private beginAt(place: number, action: ReplicaAction): void {
    const { draft, hosting, disks } = this;
    const slot = draft.slot(place);
    switch (action.kind) {
      case 'sync':
        return disks.sync(place);
      case 'crash':
        return hosting.crash(place, action.keep);
      case 'restart':
      case 'wipe':
        return hosting.restart(place, action.kind === 'wipe');
      case 'failStorage':
        return disks.fail(place, action.keep);
      case 'pause':
      case 'resume':
        draft.ownSlot(place).paused = action.kind === 'pause' && slot.process !== null;
        return draft.watcher?.touched(place);
      case 'leap':
        return draft.setClock(place, draft.local(place) + action.by, slot.clock.rate);
      case 'rate':
        return draft.setClock(place, draft.local(place), action.rate);
      default:
        if (slot.process !== null && !slot.paused) this.happen(place, action);
    }
  }

  /** What needs a process that runs. */
  private happen(place: number, action: ReplicaAction): void {
    const { draft, hosting, disks, callers } = this;
    const { kind } = action;
    switch (kind) {
      case 'timeout':
        hosting.leapToDeadline(place);
        return hosting.tick(place);
      case 'tick':
        return hosting.tick(place);
      case 'campaign':
        return hosting.step(place, { kind, now: draft.local(place) });
      case 'unreachable':
        return hosting.step(place, { kind, now: draft.local(place), peer: action.peer });
      case 'stop':
        return hosting.stop(place);
      case 'written':
        return disks.reportWritten(place);
      case 'loaded':
        return disks.answerLoad(place);
      case 'applied':
        return this.applications.apply(place);
      case 'propose':
        return callers.propose(place, action.command, action.timeout);
      case 'read':
        return callers.read(place, action.minIndex, action.timeout);
    }
  }
}
