/// The numbers of the protocol that bound what this module handles.
package enum MQTTLimits {
  /// Section 2.1.4: four bytes of seven bits.
  package static let remainingLengthMax = 268_435_455
  /// The fixed header: the type byte and up to four length bytes.
  package static let fixedHeaderMax = 5
  /// Section 1.5.4: a string carries its length in two bytes.
  package static let stringMax = 65_535
}
