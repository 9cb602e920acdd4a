extension Compilation {
  /// Each pass leaves work for the others: a known branch joins blocks, joined blocks share loads,
  /// loads that are gone leave masks known.
  func optimise() {
    simplifyGraph()
    removeDead()
    for _ in 0..<2 {
      propagateKnown()
      simplifyGraph()
      reuseValues()
      removeDead()
      fuse()
      noteBounds()
      removeDead()
      simplifyGraph()
    }
  }
}
