// throw-away: naive raft to debug the rig
import { Reader, Writer } from '../../src/core/bytes.js';
import { durableRecords, readEntryBody, writeEntryBody } from '../../src/core/durable.js';
import { firstNumberOf } from '../../src/core/draft.js';
import type * as core from '../../src/core/protocol.js';
import { majority } from '../../src/core/quorum.js';
import { sampleBetween, nextSeed } from '../../src/core/random.js';
import { same } from './checks.js';
type Any = any;
const copy = (s: Any): Any => ({ ...s, log: s.log.slice(), match: { ...s.match }, votes: s.votes.slice(), open: s.open.slice(), reads: s.reads.slice() , unsynced: s.unsynced.slice()});
function reset(s: Any, now: number) { s.seed = nextSeed(s.seed); s.deadline = now + sampleBetween(s.seed, s.timing.electionMin, s.timing.electionMax); }
const lastOf = (s: Any) => s.log.length;
const termAt = (s: Any, i: number) => (i === 0 ? 0 : s.log[i - 1]?.term ?? -1);
export const toy: core.Protocol<unknown, unknown> = {
  name: 'toyraft',
  init(o, r) {
    const s: Any = { id: o.id, peers: o.configuration.members.map((m) => m.id).filter((id) => id !== o.id), n: o.configuration.members.length, timing: o.timing, seed: o.seed, now: o.now, term: r.hard?.term ?? 0, vote: r.hard?.vote ?? null, role: 'follower', leader: null, log: r.tail.slice(), commit: 0, handed: 0, applied: 0, seq: 0, durableSeq: 0, hardSeq: 0, unsynced: [], match: {}, votes: [], open: [], reads: [], round: 0, number: firstNumberOf(o.boot), silent: false, fault: null, nextBeat: Infinity, deadline: 0 };
    reset(s, o.now);
    return [s, []];
  },
  step(state, m) {
    const old: Any = state;
    if (old.silent) return [old, []];
    const s = copy(old);
    const out: Any[] = [];
    const ops: Any[] = [];
    const now = Math.max(m.now, s.now);
    const persist = (op: Any) => { if (ops.length === 0) s.seq++; ops.push(op); return s.seq; };
    const hard = () => { s.hardSeq = persist({ kind: 'hard', hard: { term: s.term, vote: s.vote, commit: s.commit } }); };
    const send = (to: string, message: Any, after = 0) => out.push({ kind: 'send', to, message, after: after <= s.durableSeq ? 0 : after, lane: 'control' });
    const role = (r: string, leader: string | null) => {
      if (s.role === r && s.leader === leader) return;
      if (s.leader !== leader) endSome((x) => x.index === 0 || x.read, 'leaderChanged', leader);
      s.role = r; s.leader = leader;
      out.push({ kind: 'event', event: { kind: 'role', role: r, term: s.term, leader, fence: null } });
    };
    const endSome = (f: (x: Any) => boolean, reason: string, leader: string | null = null) => {
      for (const x of s.open) if (f(x)) out.push({ kind: 'resolve', requests: [x.request], outcome: { kind: x.read ? 'none' : 'unknown', reason, leader } });
      s.open = s.open.filter((x: Any) => !f(x));
    };
    const durable = () => Math.min(lastOf(s), ...s.unsynced.map((u: Any) => u.from - 1));
    const put = (entries: Any[]) => { const seq = persist({ kind: 'put', entries }); s.unsynced.push({ from: entries[0].index, seq }); s.log.push(...entries); };
    const append = (to: string) => {
      const from = (s.match[to] ?? 0);
      send(to, { kind: 'append', term: s.term, prev: from, prevTerm: termAt(s, from), commit: s.commit, round: s.round, entries: s.log.slice(from) });
    };
    const all = () => { for (const p of s.peers) append(p); s.nextBeat = now + s.timing.heartbeat; };
    const commitTo = (c: number) => {
      if (c > s.commit) s.commit = c;
      if (s.commit > s.handed) {
        const entries = s.log.slice(s.handed, s.commit);
        s.handed = s.commit;
        out.push({ kind: 'commit', entries });
        for (const e of entries) for (const x of [...s.open]) {
          if (x.read) continue;
          const eq = e.id !== null && e.id.counter === x.id.counter;
          if (x.index === e.index && !eq) { out.push({ kind: 'resolve', requests: [x.request], outcome: { kind: 'none', reason: 'superseded', leader: null } }); s.open = s.open.filter((y: Any) => y !== x); }
          else if (eq && (x.index === 0 || x.index === e.index)) { out.push({ kind: 'resolve', requests: [x.request], outcome: { kind: 'committed' } }); s.open = s.open.filter((y: Any) => y !== x); }
        }
      }
    };
    const advance = () => {
      if (s.role !== 'leader') return;
      const v = [durable(), ...s.peers.map((p: string) => s.match[p] ?? 0)].sort((a, b) => b - a);
      const c = v[majority(s.n) - 1];
      if (c > s.commit && termAt(s, c) === s.term) { commitTo(c); all(); }
    };
    const lead = () => {
      if (s.role !== 'candidate' || s.votes.length < majority(s.n)) return;
      s.match = {};
      s.reads = []; s.deadline = Infinity; s.round++;
      role('leader', s.id);
      put([{ index: lastOf(s) + 1, term: s.term, kind: 'noop', id: null, data: new Uint8Array(0) }]);
      all();
    };
    const campaign = () => { s.term++; s.vote = s.id; s.votes = []; reset(s, now); s.nextBeat = Infinity; endReads(); role('candidate', null); hard(); for (const p of s.peers) send(p, { kind: 'ask', term: s.term, last: lastOf(s), lastTerm: termAt(s, lastOf(s)) }, s.hardSeq); };
    const endReads = () => { s.reads = []; };
    const tryReads = () => {
      if (s.role !== 'leader' || termAt(s, s.commit) !== s.term) return;
      for (const r of [...s.reads]) if (1 + r.acks.length >= majority(s.n)) {
        s.reads = s.reads.filter((x: Any) => x !== r);
        if (r.peer) send(r.peer, { kind: 'readOk', term: s.term, number: r.number, index: r.index });
        else if (s.open.some((x: Any) => x.request === r.number)) { s.open = s.open.filter((x: Any) => x.request !== r.number); out.push({ kind: 'readReady', request: r.number, index: r.index }); }
      }
    };
    const addRead = (peer: string | null, number: number) => {
      if (termAt(s, s.commit) !== s.term) { if (peer === null) endSome((x) => x.request === number, 'busy'); return; }
      s.round++;
      s.reads.push({ peer, number, index: s.commit, round: s.round, acks: [] });
      all(); tryReads();
    };
    if (m.kind === 'tick') {
      if (now >= s.nextBeat) all();
      if (now >= s.deadline) { if (s.n === 1 || true) campaign(); }
      endSome((x) => x.deadline <= now, 'deadline');
    } else if (m.kind === 'campaign') { if (s.role !== 'leader') campaign(); }
    else if (m.kind === 'persisted') {
      s.durableSeq = Math.max(s.durableSeq, m.seq); s.unsynced = s.unsynced.filter((u: Any) => u.seq > m.seq);
      if (s.role === 'candidate' && s.durableSeq >= s.hardSeq && !s.votes.includes(s.id)) { s.votes.push(s.id); lead(); }
      advance();
    } else if (m.kind === 'applied') s.applied = Math.max(s.applied, m.index);
    else if (m.kind === 'stop' || m.kind === 'storageFailed') {
      endSome(() => true, 'stopped'); s.silent = true; s.deadline = Infinity; s.nextBeat = Infinity; s.role = 'follower'; s.leader = null;
      s.fault = m.kind === 'stop' ? null : m.reason;
    } else if (m.kind === 'cancel') endSome((x) => m.requests.includes(x.request), 'cancelled');
    else if (m.kind === 'propose') {
      if (s.role === 'leader') {
        const entries: Any[] = m.proposals.map((p, i) => ({ index: lastOf(s) + 1 + i, term: s.term, kind: p.kind, id: p.id, data: p.data }));
        m.proposals.forEach((p, i) => s.open.push({ request: p.request, id: p.id, index: entries[i].index, deadline: m.deadline, read: false }));
        put(entries); all();
      } else if (s.leader === null) out.push({ kind: 'resolve', requests: m.proposals.map((p) => p.request), outcome: { kind: 'none', reason: 'noLeader', leader: null } });
      else {
        for (const p of m.proposals) { s.open.push({ request: p.request, id: p.id, index: 0, deadline: m.deadline, read: false }); send(s.leader, { kind: 'forward', term: s.term, entries: [{ index: 1, term: 1, kind: p.kind, id: p.id, data: p.data }] }); }
      }
    } else if (m.kind === 'read') {
      if (s.leader === null) out.push({ kind: 'resolve', requests: [m.request], outcome: { kind: 'none', reason: 'noLeader', leader: null } });
      else { s.open.push({ request: m.request, deadline: m.deadline, read: true, index: 0 });
        if (s.role === 'leader') addRead(null, m.request); else { s.number++; s.open[s.open.length - 1].number = s.number; send(s.leader, { kind: 'read', term: s.term, number: s.number }); } }
    } else if (m.kind === 'receive') {
      const x: Any = m.message;
      if (x.term > s.term) { s.term = x.term; s.vote = null; if (s.role === 'leader') reset(s, now); s.nextBeat = Infinity; endReads(); role('follower', null); hard(); }
      if (x.kind === 'ask') {
        if (x.term === s.term && (s.vote === null || s.vote === m.from) && s.role === 'follower' && (x.lastTerm > termAt(s, lastOf(s)) || (x.lastTerm === termAt(s, lastOf(s)) && x.last >= lastOf(s)))) {
          if (s.vote === null) { s.vote = m.from; hard(); reset(s, now); }
          send(m.from, { kind: 'vote', term: s.term }, s.hardSeq);
        }
      } else if (x.kind === 'vote') { if (x.term === s.term && s.role === 'candidate' && !s.votes.includes(m.from)) { s.votes.push(m.from); lead(); } }
      else if (x.kind === 'append') {
        if (x.term === s.term) {
          s.deadline = now + s.timing.electionMax; role('follower', m.from);
          if (termAt(s, x.prev) === x.prevTerm) {
            let at = 0;
            while (at < x.entries.length && termAt(s, x.entries[at].index) === x.entries[at].term) at++;
            const rest = x.entries.slice(at);
            if (rest.length > 0) { if (rest[0].index <= lastOf(s)) { s.log.length = rest[0].index - 1; persist({ kind: 'truncate', from: rest[0].index }); s.unsynced = s.unsynced.filter((u: Any) => u.from < rest[0].index); } put(rest); }
            const top = x.prev + x.entries.length;
            commitTo(Math.min(x.commit, top));
            send(m.from, { kind: 'ack', term: s.term, match: top, round: x.round }, s.seq);
          } else send(m.from, { kind: 'ack', term: s.term, match: 0, round: x.round }, s.hardSeq);
        } else send(m.from, { kind: 'nack', term: s.term }, s.hardSeq);
      } else if (x.kind === 'ack') {
        if (x.term === s.term && s.role === 'leader') {
          if (x.match > (s.match[m.from] ?? 0)) s.match[m.from] = x.match;
          s.reads = s.reads.map((r: Any) => (x.round >= r.round && !r.acks.includes(m.from) ? { ...r, acks: [...r.acks, m.from] } : r));
          advance(); tryReads();
        }
      } else if (x.kind === 'forward') { if (s.role === 'leader') { put(x.entries.map((e: Any) => ({ ...e, index: lastOf(s) + 1, term: s.term }))); all(); } }
      else if (x.kind === 'read') { if (s.role === 'leader') addRead(m.from, x.number); }
      else if (x.kind === 'readOk') { const r = s.open.find((y: Any) => y.number === x.number); if (r) { s.open = s.open.filter((y: Any) => y !== r); out.push({ kind: 'readReady', request: r.request, index: x.index }); } }
    }
    s.now = now;
    if (ops.length > 0) out.unshift({ kind: 'persist', seq: s.seq, ops });
    return [same(s, old, 'now') ? old : s, out];
  },
  deadline: (state) => { const s: Any = state; if (s.silent) return Infinity; return Math.min(s.deadline, s.nextBeat, ...s.open.map((x: Any) => x.deadline)); },
  status: (state) => { const s: Any = state; return { id: s.id, role: s.role, term: s.term, leader: s.leader, commit: s.commit, handed: s.handed, applied: s.applied, last: lastOf(s), durable: Math.min(lastOf(s), ...s.unsynced.map((u: Any) => u.from - 1)), peers: s.role === 'leader' ? s.peers.map((id: string) => ({ id, match: s.match[id] ?? 0, next: 1 })) : [], fault: s.fault }; },
  codec: {
    sizeOf: (m: Any) => 600 + (m.entries ?? []).reduce((n: number, e: Any) => n + 60 + e.data.length, 0),
    write: (w: Writer, m: Any) => { const { entries = [], ...rest } = m; w.ascii(JSON.stringify(rest)); w.varint(entries.length); for (const e of entries) { w.varint(e.index); w.varint(e.term); writeEntryBody(w, e); } },
    read: (r: Reader) => { const rest = JSON.parse(r.ascii(10000)); const entries: Any[] = []; for (let n = r.count(); n > 0; n--) entries.push(readEntryBody(r, r.varint(), r.varint())); return 'entries' in rest || rest.kind === 'append' || rest.kind === 'forward' ? { ...rest, entries } : rest; },
  },
  durable: { ...durableRecords, tailFrom: () => 1 },
};
