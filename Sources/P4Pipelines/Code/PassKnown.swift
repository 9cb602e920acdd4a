// What is known at load time. From the start of the parser, where headers are invalid and metadata
// is zero, the values of lanes and masks are followed through the graph as far as they are
// constants; branches that are known to go one way no longer count as the other. Most tests of
// validity and of flags that were just set disappear here.

/// Known values at one point. nil: varying.
struct KnownState {
  var lanes: [UInt64?]
  var masks: [Bool?]

  /// False when nothing has changed.
  mutating func meet(_ other: KnownState) -> Bool {
    var isChanged = false
    for index in lanes.indices where lanes[index] != nil && lanes[index] != other.lanes[index] {
      lanes[index] = nil
      isChanged = true
    }
    for index in masks.indices where masks[index] != nil && masks[index] != other.masks[index] {
      masks[index] = nil
      isChanged = true
    }
    return isChanged
  }
}

/// The states at the starts of blocks and at the ends of sections; nil: not reached.
struct KnownFlow {
  var entries: [KnownState?]
  var ends: [KnownState?]
  var isChanged = false
  /// Blocks whose state has changed since they were run.
  var waiting: BitSet
}

extension Compilation {
  /// Rewrites every block with what is known. The pass is left out where it would take too much
  /// memory: then the code is as right as before, only slower.
  func propagateKnown() {
    let size = (laneCount * 9 + maskCount * 2) * blocks.count
    staleHeaders = BitSet(count: program.headers.count)
    parserStaleHeaders = staleHeaders
    guard size < 64 << 20 else {
      for header in program.headers.indices {
        staleHeaders.insert(header)
        parserStaleHeaders.insert(header)
      }
      return
    }
    let requests = requests()
    var flow = KnownFlow(
      entries: [KnownState?](repeating: nil, count: blocks.count),
      ends: [KnownState?](repeating: nil, count: SectionKind.allCases.count),
      waiting: BitSet(count: blocks.count))
    enter(.parser, initialState(requests), &flow)
    let order = reachableOrder()
    repeat {
      flow.isChanged = false
      for block in order where flow.waiting.contains(block) {
        flow.waiting.remove(block)
        guard let state = flow.entries[block] else { continue }
        var run = KnownRun(state: state, isRewriting: false)
        self.run(block, &run, &flow)
      }
      joinSections(requests, &flow)
    } while flow.isChanged
    for block in order {
      guard let state = flow.entries[block] else {
        // Never reached: its predecessors are about to forget it.
        continue
      }
      var run = KnownRun(state: state, isRewriting: true)
      self.run(block, &run, &flow)
      blocks[block].instructions = run.instructions
      blocks[block].marks = run.marks
    }
  }

  func enter(_ section: SectionKind, _ state: KnownState, _ flow: inout KnownFlow) {
    enter(block: entries[section.rawValue], state, &flow)
  }

  func enter(block: Int, _ state: KnownState, _ flow: inout KnownFlow) {
    if flow.entries[block] == nil {
      flow.entries[block] = state
    } else if flow.entries[block]?.meet(state) != true {
      return
    }
    flow.waiting.insert(block)
    flow.isChanged = true
  }

  func leave(_ section: SectionKind, _ state: KnownState, _ flow: inout KnownFlow) {
    if flow.ends[section.rawValue] == nil {
      flow.ends[section.rawValue] = state
    } else if flow.ends[section.rawValue]?.meet(state) != true {
      return
    }
    flow.isChanged = true
  }

  // MARK: Between sections

  private func initialState(_ requests: Requests) -> KnownState {
    var state = KnownState(
      lanes: [UInt64?](repeating: nil, count: laneCount),
      masks: [Bool?](repeating: nil, count: maskCount))
    for lane in 0..<stateLanes { state.lanes[lane] = 0 }
    for mask in 0..<stateMasks { state.masks[mask] = false }
    state.lanes[cursorLane] = nil
    state.lanes[lengthLane] = nil
    for field in [
      StandardField.ingressPort, .instanceType, .packetLength, .ingressTimestamp,
    ] {
      forget(place(of: field), &state)
    }
    if requests.resubmit || requests.recirculate { forgetFieldLists(&state) }
    return state
  }

  private func forget(_ place: PipelineCode.FieldPlace?, _ state: inout KnownState) {
    switch place {
    case .lane(let lane, _)?: state.lanes[Int(lane)] = nil
    case .mask(let mask)?: state.masks[Int(mask)] = nil
    default: break
    }
  }

  private func forgetFieldLists(_ state: inout KnownState) {
    for list in code.fieldLists { for place in list.fields { forget(place, &state) } }
  }

  private func joinSections(_ requests: Requests, _ flow: inout KnownFlow) {
    func end(_ section: SectionKind) -> KnownState? { flow.ends[section.rawValue] }
    if let state = end(.parser) { enter(.verify, state, &flow) }
    if let state = end(.verify) { enter(.ingress, state, &flow) }
    if let state = end(.ingress) { enter(.egress, atEgress(state), &flow) }
    if requests.cloneIngress, let state = end(.verify) {
      enter(.egress, atEgress(cloned(state)), &flow)
    }
    if requests.cloneEgress, let state = end(.egress) {
      enter(.egress, atEgress(cloned(state)), &flow)
    }
    if let state = end(.egress) { enter(.update, state, &flow) }
  }

  /// The switch writes standard metadata between ingress and egress.
  private func atEgress(_ state: KnownState) -> KnownState {
    var state = state
    for field in StandardField.allCases { forget(place(of: field), &state) }
    return state
  }

  /// A clone keeps its headers and loses its metadata, but for a field list.
  private func cloned(_ state: KnownState) -> KnownState {
    var state = state
    for header in program.headers.indices where program.headers[header].isMetadata {
      for place in places[header] {
        switch place {
        case .lane(let lane, _): state.lanes[Int(lane)] = 0
        case .mask(let mask): state.masks[Int(mask)] = false
        default: break
        }
      }
    }
    forgetFieldLists(&state)
    return state
  }
}
