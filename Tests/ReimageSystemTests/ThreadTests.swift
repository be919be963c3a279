import ReimageCore
import ReimageSystem
import Synchronization
import Testing

@Suite struct ThreadTests {
    @Test func runsEveryBodyOnce() throws {
        let seen = Mutex<[Int]>([])
        try runOnThreads(7) { (number) throws(ImageError) in seen.withLock { $0.append(number) } }
        #expect(seen.withLock { $0.sorted() } == Array(0..<7))
    }

    @Test func throwsTheFirstError() throws {
        let gate = Monitor(false)
        let error = #expect(throws: ImageError.self) {
            try runOnThreads(2) { (number) throws(ImageError) in
                if number == 0 {
                    defer { gate.update { $0 = true } }
                    throw ImageError(.damaged, "first")
                }
                gate.update(when: { $0 }) { _ in }
                pauseThread(milliseconds: 50)
                throw ImageError(.damaged, "second")
            }
        }
        #expect(error?.message == "first")
    }

    @Test func aMonitorLetsThreadsTakeTurns() throws {
        let state = Monitor((turn: 0, order: [Int]()))
        try runOnThreads(5) { (number) throws(ImageError) in
            for round in 0..<20 {
                let mine = round * 5 + number
                state.update(when: { $0.turn == mine }) { state in
                    state.order.append(mine)
                    state.turn += 1
                }
            }
        }
        #expect(state.withLock { $0.order } == Array(0..<100))
    }

    @Test func thereIsAProcessor() { #expect(processorCount() >= 1) }
}
