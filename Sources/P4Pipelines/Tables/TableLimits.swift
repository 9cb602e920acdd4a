/// What a table may hold.
package enum TableLimits {
  /// An entry's index has 24 bits in its handle, as in BMv2; this is what still fits in memory.
  package static let entriesMax = 1 << 20
}
