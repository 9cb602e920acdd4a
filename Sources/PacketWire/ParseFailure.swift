/// Why bytes are not the header they should be.
package enum ParseFailure: Error, Equatable, BitwiseCopyable {
  /// Fewer bytes than the fixed part of the header.
  case truncated
  /// A version or hardware type other than the one expected.
  case badVersion
  /// A header length below the minimum or beyond the bytes.
  case badHeaderLength
  /// A total length below the header's or beyond the bytes.
  case badLength
  case badChecksum
  /// An option whose length is impossible.
  case badOption
}
