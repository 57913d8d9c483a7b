/** Storage and network in memory: for tests, and for the first minute of a newcomer. Run on every platform. */

export { memoryNetwork } from './memory-network.js';
export { memoryStorage } from './memory-storage.js';
