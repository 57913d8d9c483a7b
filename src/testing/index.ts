/**
 * The public names of `quorate/testing`: a cluster as a value (`createWorld`), a simulator, a model checker, scenarios,
 * a simulation of the whole host, and checkers for histories, for the protocols and for your own state machine. Nothing
 * here runs in production.
 */

export { InvariantViolation } from '../core/assert.js';
export type { Action, Happening, MessagePick } from './world/actions.js';
export type { Fact, Observer } from './world/facts.js';
export { tableBytes as fingerprintTableBytes } from './checker/fingerprint-table.js';
export { formatHistory, HistorySyntaxError, parseHistory } from './history/history-format.js';
export { formatHistoryJson, parseHistoryJson } from './history/history-json.js';
export {
  historyFromEvents,
  recordHistory,
  type CompletedOperation,
  type FailedOperation,
  type History,
  type HistoryEvent,
  type HistoryRecorder,
  type LogPosition,
  type Operation,
  type UnknownOperation,
} from './history/history.js';
export {
  assertLinearizable,
  checkLinearizable,
  HistoryRefuted,
  type Linearizability,
  type LinearizabilityOptions,
  type LinearizedPart,
  type NotLinearizable,
} from './history/linearizability.js';
export {
  assertLogOrder,
  checkLogOrder,
  type LogEffect,
  type LogRule,
  type LogOrder,
  type LogOrderOptions,
} from './history/linearizability-log-order.js';
export { machineModel, type Rejected } from './history/machine-model.js';
export { countingMachine, type MachineSpec } from './world/machine.js';
export type { Scope } from './checker/model-checker-scope.js';
export { walkModel, type WalkOptions, type WalkResult } from './checker/model-checker-walk.js';
export {
  checkModel,
  type FoundViolation,
  type ModelCheckerOptions,
  type ModelCheckerResult,
} from './checker/model-checker.js';
export {
  counterModel,
  keyedModel,
  keyValueModel,
  logModel,
  refused,
  registerModel,
  unknown,
  type CounterInput,
  type Json,
  type KeyValueInput,
  type LogInput,
  type RegisterInput,
  type SequentialModel,
} from './history/models.js';
export { FAULT_KINDS, type FaultKind, type Prefix } from './simulator/plan.js';
export type { WorldCall, CallEnd, WorldEffect, WorldRecord } from './world/record.js';
export { formatActions } from './scenario/scenario-format.js';
export { headerOf, type ScenarioHeader } from './scenario/scenario-header.js';
export { ScenarioSyntaxError } from './scenario/scenario-text.js';
export {
  actionsOf,
  parseScenario,
  runScenario,
  type Scenario,
  type ScenarioFailure,
  type ScenarioOptions,
  type ScenarioRun,
} from './scenario/scenario.js';
export { HOST_FAULTS, type HostFault } from './host-simulation/plan.js';
export { HostSimulationFailure } from './host-simulation/trace.js';
export {
  simulateHost,
  type HostSimulationOptions,
  type HostSimulationReport,
} from './host-simulation/host-simulation.js';
export { checkSnapshots, type SnapshotCheckOptions, type SnapshotCheckReport } from './simulator/check-snapshots.js';
export { replay, shrink, type Replayed, type Trial } from './simulator/shrink.js';
export type { Random, SimulateOptions } from './simulator/simulate-options.js';
export type { Pace, Span } from './simulator/pace.js';
export { simulate, SimulationFailure, type PaceReport, type SimulationReport } from './simulator/simulator.js';
export {
  exchangeBound,
  exchangeTime,
  FRAME_BYTES,
  meetsTimingAssumption,
  type ExchangeParts,
} from './world/timing-assumption.js';
export { historyOf } from './simulator/world-history.js';
export { traceOf, TraceWriter } from './world/trace.js';
export type { Eager, Flight, Link, Slot, World } from './world/state.js';
export type { WorldOptions } from './world/options.js';
export { actions, apply, createWorld } from './world/world.js';
