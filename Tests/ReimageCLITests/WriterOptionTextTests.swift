@testable import ReimageCLI
import Testing

@Suite struct WriterOptionTextTests {
    @Test func splitsOptionsAsThePeerDoes() throws {
        #expect(try WriterOptionText.parse(["a=1,b=2", "c=x,,y"]) == ["a": "1", "b": "2", "c": "x,y"])
        #expect(throws: (any Error).self) { try WriterOptionText.parse(["preallocation"]) }
    }
}
