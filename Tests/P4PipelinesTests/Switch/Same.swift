import Testing

/// `#expect(value == wanted)` for values that come from calls on types that cannot be copied, which
/// the macro cannot take apart.
func same<Value: Equatable>(
  _ value: Value, _ wanted: Value, sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(value == wanted, sourceLocation: sourceLocation)
}
