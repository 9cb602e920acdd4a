/// What a table may hold and how much memory an engine may take for it. Engines are chosen by
/// these limits when a program is loaded; see `MatchTable`.
package enum TableLimits {
  /// An entry's index has 24 bits in its handle, as in BMv2; a million is what a table may ask for
  /// before a mistake in a program takes the memory of the machine.
  package static let entriesMax = 1 << 20
  /// Bytes of one key; a prefix must fit 16 bits.
  package static let keyBytesMax = 4096
  /// Nodes of one trie: 16,384 IPv4 prefixes take 64 MB in the worst case. Only nodes in use touch
  /// memory.
  package static let trieBytesMax = 96 << 20
  /// Vectors of one ternary table: 16,384 entries of 13 bytes take 7 MB.
  package static let vectorBytesMax = 24 << 20
  /// Members of a profile that gives no size.
  package static let membersDefault = 1024
  /// Memberships of groups altogether, for each member that the profile may have.
  package static let membershipsPerMember = 4
  /// Words that the undo log of one batch takes: some ten thousand writes.
  package static let undoWords = 1 << 20
  /// Entries that one call of `popIdle` looks at.
  package static let idleScan = 256
}
