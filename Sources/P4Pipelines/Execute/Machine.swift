/// Runs a compiled program over up to 64 packets at a time, in each of two banks.
///
/// What happens to a packet, in the order in which the switch calls: `begin`, `parse`,
/// `verifyChecksums`, `ingress`, `beginEgress`, `egress`, `updateChecksums`, then `headerLength`
/// and `writeHeaders`. Packets are named by their number in the bank; a `mask` has bit i for packet
/// i. The packets' bytes belong to the caller, must stay where they are from `begin` until the
/// last call, and are never written by the machine.
package struct Machine: ~Copyable {
  package static let width = 64

  package let code: PipelineCode
  package var tables: TableSet
  package var externs: ExternSet

  /// Allocates everything. `secret` keys the hashes of tables, `seed` starts the random generator.
  /// Throws when a constant entry does not fit its table.
  package init(
    _ code: PipelineCode, program: P4Program, secret: UInt64, seed: UInt64
  ) throws(TableError) {
    self.code = code
    tables = try TableSet(program, secret: secret)
    externs = ExternSet(program, seed: seed)
  }
}

// MARK: Running

extension Machine {
  /// The time of the burst, in microseconds since the switch started: for meters.
  package mutating func begin(microseconds: UInt64) { fatalError() }

  /// A packet that arrives: `count` bytes at `address`. All metadata becomes zero, all headers
  /// invalid, all requests void; the given standard metadata is written. `packetLength` is what
  /// counters and meters count from now on.
  package mutating func begin(
    bank: Int, packet: Int, bytes address: UInt, count: Int, ingressPort: Int, instanceType: Int,
    packetLength: Int, ingressTimestamp: UInt64
  ) { fatalError() }

  package mutating func parse(bank: Int, _ mask: UInt64) { fatalError() }
  package mutating func verifyChecksums(bank: Int, _ mask: UInt64) { fatalError() }
  package mutating func ingress(bank: Int, _ mask: UInt64) { fatalError() }
  /// What every packet finds at the start of egress: `egress_spec` 0, `packet_length` from the
  /// length register, the time. Port, instance type and replica are set packet by packet.
  package mutating func beginEgress(bank: Int, _ mask: UInt64, timestamp: UInt64) { fatalError() }
  package mutating func egress(bank: Int, _ mask: UInt64) { fatalError() }
  package mutating func updateChecksums(bank: Int, _ mask: UInt64) { fatalError() }

  /// The packets of the bank whose parser ended with an error, whose checksum was found wrong.
  package func parserErrors(bank: Int, _ mask: UInt64) -> UInt64 { fatalError() }
  package func checksumErrors(bank: Int, _ mask: UInt64) -> UInt64 { fatalError() }
}

// MARK: What programs ask for

extension Machine {
  /// The packets that have a request of this kind.
  @inline(__always)
  package func requested(_ kind: RequestKind, bank: Int) -> UInt64 { fatalError() }
  /// Session, bytes to keep: see `RequestKind`.
  package func requestValue(_ kind: RequestKind, bank: Int, packet: Int) -> Int { fatalError() }
  /// Index in `P4Program.fieldLists` or `learnLists`; nil: the request names none.
  package func requestList(_ kind: RequestKind, bank: Int, packet: Int) -> Int? { fatalError() }
  package mutating func clearRequests(_ kinds: RequestKinds, bank: Int, _ mask: UInt64) {
    fatalError()
  }

  /// What `log_msg` has printed, oldest first. The oldest are lost when nobody takes them.
  package mutating func takeLog() -> LogRecord? { fatalError() }
}

/// One call of `log_msg`.
package struct LogRecord: BitwiseCopyable, Sendable {
  /// Index in `PipelineCode.logs`.
  package var log: Int
  /// Values of the first arguments.
  package var arguments: InlineArray<8, UInt64>
}

// MARK: Metadata

extension Machine {
  package func standard(_ field: StandardField, bank: Int, packet: Int) -> UInt64 { fatalError() }
  package mutating func setStandard(
    _ field: StandardField, bank: Int, packet: Int, to value: UInt64
  ) { fatalError() }
  /// The field's lane of the bank, one word per packet; nil when the machine keeps none (it then
  /// reads as 0). Not for `checksumError`, which is a mask: see `checksumErrors`.
  @unsafe package func lane(
    of field: StandardField, bank: Int
  ) -> UnsafeMutablePointer<UInt64>? { fatalError() }

  /// All metadata zero; headers and the length register stay.
  package mutating func resetMetadata(bank: Int, _ mask: UInt64) { fatalError() }

  /// Headers, metadata, requests, and where the packet's bytes lie.
  package mutating func copyState(
    fromBank: Int, packet from: Int, toBank: Int, packet to: Int
  ) { fatalError() }
  /// Bytes that `saveState` writes.
  package var stateBytes: Int { fatalError() }
  /// The same as `copyState`, to memory of the caller.
  package func saveState(bank: Int, packet: Int, to address: UInt) { fatalError() }
  package mutating func restoreState(bank: Int, packet: Int, from address: UInt) { fatalError() }
  /// The packet's bytes have moved.
  package mutating func setBytes(bank: Int, packet: Int, address: UInt, count: Int) {
    fatalError()
  }

  /// Bytes that the longest field list takes.
  package var fieldListBytes: Int { fatalError() }
  package func saveFields(_ list: Int, bank: Int, packet: Int, to address: UInt) { fatalError() }
  package mutating func restoreFields(_ list: Int, bank: Int, packet: Int, from address: UInt) {
    fatalError()
  }

  /// Bytes of a digest: its elements, each padded to whole bytes, big-endian.
  package func digestBytes(_ list: Int) -> Int { fatalError() }
  package mutating func readDigest(_ list: Int, bank: Int, packet: Int, to address: UInt) {
    fatalError()
  }
}

// MARK: Deparsing

extension Machine {
  /// Bytes of the headers that the deparser emits.
  package func headerLength(bank: Int, packet: Int) -> Int { fatalError() }
  /// Where the bytes that no header holds start.
  package func payloadOffset(bank: Int, packet: Int) -> Int { fatalError() }
  /// Writes `headerLength` bytes.
  package func writeHeaders(bank: Int, packet: Int, to address: UInt) { fatalError() }
  /// Packets whose valid headers are those that the parser found, one after the other from the
  /// start of the packet and with the same lengths, so that headers go back where they came from.
  package func sameLayout(bank: Int, _ mask: UInt64) -> UInt64 { fatalError() }
}
