/** The public names of `quorate/node`: the adapters that need Node's file system or sockets. */

export type { FileStorageOptions } from './adapters/file-storage/index.js';
export type { TcpTransportOptions } from './adapters/tcp-transport/index.js';
export type {
  InspectOptions,
  SegmentReport,
  StorageProblem,
  StorageReport,
  StorageVerdict,
  StoredOwner,
} from './adapters/file-storage/inspect.js';
export type { NamedSnapshot } from './adapters/file-storage/inspect-snapshots.js';
export { inspectStorage, verifyStorage } from './adapters/file-storage/inspect.js';
export { fileStorage } from './adapters/file-storage/index.js';
export { tcpTransport } from './adapters/tcp-transport/index.js';
