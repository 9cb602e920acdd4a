import DPUCore
import Testing

@testable import P4Pipelines

@Suite struct CorpusTests {
  @Test func isComplete() {
    #expect(Corpus.paths.filter { $0.hasPrefix("Tests/Vectors/p4/stf") }.count == 95)
    #expect(Corpus.paths.filter { $0.hasPrefix("Tests/Vectors/p4/load") }.count == 123)
    #expect(Corpus.paths.count == 95 + 123 + 4 + 2)
  }

  @Test(arguments: Corpus.paths) func loads(path: String) throws {
    do {
      _ = try Corpus.load(path)
    } catch let error as ProgramError {
      Issue.record("\(path):\(error.text.string)")
    }
  }
}
