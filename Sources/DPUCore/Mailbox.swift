import Synchronization

/// One question at a time from a control thread to a worker, and the worker's answer.
///
/// The worker looks once per turn whether something was asked, which costs one load. Who may touch
/// the contents is decided by two counts: the control thread while they are equal, the worker
/// otherwise. A handle: copies name the same box. Boxes are made at start-up and live as long as the
/// process.
@safe
package struct Mailbox<Contents: ~Copyable>: BitwiseCopyable, @unchecked Sendable {
  private struct Box: ~Copyable {
    let asked = Atomic<UInt64>(0)
    let answered = Atomic<UInt64>(0)
    var contents: Contents

    init(_ contents: consuming Contents) { self.contents = contents }
  }

  private let box: UnsafeMutablePointer<Box>

  package init(_ contents: consuming Contents) {
    unsafe box = .allocate(capacity: 1)
    unsafe box.initialize(to: Box(contents))
  }

  // MARK: The worker's side

  /// Whether an answer is due. Once per turn.
  @inline(__always)
  package var isAsked: Bool {
    unsafe box.pointee.asked.load(ordering: .acquiring)
      != box.pointee.answered.load(ordering: .relaxed)
  }

  /// Lets the worker write the answer, then hands the box back.
  @inline(__always)
  package func answer(_ body: (inout Contents) -> Void) {
    unsafe body(&box.pointee.contents)
    unsafe box.pointee.answered.store(
      box.pointee.asked.load(ordering: .relaxed), ordering: .releasing)
  }

  // MARK: The control thread's side

  /// Whether the worker still owes the answer to an earlier question.
  package var isBusy: Bool {
    unsafe box.pointee.answered.load(ordering: .acquiring)
      != box.pointee.asked.load(ordering: .relaxed)
  }

  /// Asks; `prepare` fills in the question. Not while the box is busy.
  package func ask(_ prepare: (inout Contents) -> Void) {
    unsafe prepare(&box.pointee.contents)
    unsafe box.pointee.asked.wrappingAdd(1, ordering: .releasing)
  }

  /// Looks at the answer. Not while the box is busy.
  package func read<Result>(_ body: (borrowing Contents) -> Result) -> Result {
    unsafe body(box.pointee.contents)
  }
  /// A question from its asking to its answer. `wait` waits until the box is no longer busy, and is
  /// false when it gives up. Nil then, and when the worker is still at an earlier question for which
  /// it was too late.
  package func exchange<Result>(
    _ prepare: (inout Contents) -> Void, waiting wait: () -> Bool,
    then read: (borrowing Contents) -> Result
  ) -> Result? {
    guard !isBusy else { return nil }
    ask(prepare)
    return wait() ? self.read(read) : nil
  }
}
