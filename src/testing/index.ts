/**
 * `quorate/testing`: a cluster as a value, a simulator, a model checker, scenarios and a linearizability checker, for
 * the protocols themselves and for your own state machine. Nothing here runs in production.
 */

export { InvariantViolation } from '../core/assert.js';
export type { Action, Happening, Pick as MessagePick } from './actions.js';
export type { Fact, Observer } from './facts.js';
export { tableBytes as fingerprintTableBytes } from './fingerprint-table.js';
export { formatHistory, HistorySyntaxError, parseHistory } from './history-format.js';
export { formatHistoryJson, parseHistoryJson } from './history-json.js';
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
} from './history.js';
export {
  assertLinearizable,
  checkLinearizable,
  HistoryRefuted,
  type Linearizability,
  type LinearizabilityOptions,
  type LinearizedPart,
  type NotLinearizable,
} from './linearizability.js';
export {
  assertLogWitness,
  checkLogWitness,
  type Effect as LogEffect,
  type LogRule,
  type LogWitness,
  type LogWitnessOptions,
} from './linearizability-witness.js';
export { machineModel, type Rejected } from './machine-model.js';
export { countingMachine, type MachineSpec } from './machine.js';
export type { Scope } from './model-checker-scope.js';
export { walkModel, type WalkOptions, type WalkResult } from './model-checker-walk.js';
export { checkModel, type FoundViolation, type ModelCheckerOptions, type ModelCheckerResult } from './model-checker.js';
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
} from './models.js';
export { FAULT_KINDS, type FaultKind, type Prefix } from './plan.js';
export type { Call, CallEnd, Effect, Record as WorldRecord } from './record.js';
export { formatActions } from './scenario-format.js';
export { headerOf, type ScenarioHeader } from './scenario-header.js';
export { ScenarioSyntaxError } from './scenario-text.js';
export {
  actionsOf,
  parseScenario,
  runScenario,
  type Scenario,
  type ScenarioFailure,
  type ScenarioOptions,
  type ScenarioRun,
} from './scenario.js';
export { SHELL_FAULTS, type ShellFault } from './shell-plan.js';
export { ShellSimulationFailure } from './shell-trace.js';
export { simulateShell, type ShellSimulationOptions, type ShellSimulationReport } from './shell-simulation.js';
export { replay, shrink, type Replayed, type Trial } from './shrink.js';
export { simulate, SimulationFailure, type Random, type SimulateOptions, type SimulationReport } from './simulator.js';
export { historyOf } from './world-history.js';
export { traceOf, TraceWriter } from './trace.js';
export type { Eager, Flight, Link, Slot, World } from './world-state.js';
export { actions, apply, createWorld, type WorldOptions } from './world.js';
