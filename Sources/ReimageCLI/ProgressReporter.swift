internal import ArgumentParser
internal import ReimageCore
internal import ReimagePipeline
internal import ReimageSystem
internal import Synchronization

/// How progress is shown.
enum ProgressStyle: String, ExpressibleByArgument, CaseIterable { case auto, bar, json, none }

/// Shows a job's progress on standard error, from a thread of its own.
final class ProgressReporter: Sendable {
    private let progress: ReimagePipeline.Progress
    private let style: ProgressStyle
    private let start = ContinuousClock.now
    private let state = Monitor(State())

    private struct State {
        var isStopping = false
        var hasStopped = false
        var lineIsOpen = false
    }

    init(_ progress: ReimagePipeline.Progress, style: ProgressStyle) {
        self.progress = progress
        self.style = style
        Signals.onReport { [self] in Console.message(line()) }
        if style == .none { state.update { $0.hasStopped = true } } else { startThread { [self] in show() } }
    }

    /// Ends the display; what is printed next begins on a line of its own.
    func stop() {
        Signals.onReport(nil)
        state.update { $0.isStopping = true }
        state.update(when: { $0.hasStopped }) { state in
            if state.lineIsOpen { Console.write("\r\u{1b}[K", to: 2) }
            state.lineIsOpen = false
        }
    }

    private func show() {
        // A short job shows nothing: a bar that flashes up tells nobody anything.
        var tick = 0
        while !state.withLock({ $0.isStopping }) {
            pauseThread(milliseconds: 50)
            tick += 1
            guard tick.isMultiple(of: style == .json ? 10 : 5) else { continue }
            switch style {
            case .json: Console.message(json())
            default:
                let end = Console.isTerminal ? "\u{1b}[K" : ""
                Console.write("\r\(line())\(end)", to: 2)
                state.update { $0.lineIsOpen = true }
            }
        }
        if style == .json { Console.message(json()) }
        if style == .bar, !Console.isTerminal, state.withLock({ $0.lineIsOpen }) { Console.write("\n", to: 2) }
        state.update {
            $0.hasStopped = true
            if !Console.isTerminal { $0.lineIsOpen = false }
        }
    }

    private var phaseName: String {
        switch progress.phase {
        case .copy: "copy"
        case .plan: "plan"
        case .prove: "prove"
        case .sync: "sync"
        case .verify: "verify"
        }
    }

    private var seconds: Double {
        let elapsed = start.duration(to: .now).components
        return Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18
    }

    private func line() -> String {
        let done = progress.done
        let rate = UInt64(Double(done) / max(seconds, 0.001))
        guard progress.phase != .sync else { return "sync    waiting for the medium" }
        let name = phaseName + String(repeating: " ", count: 8 - phaseName.count)
        guard let total = progress.total, total > 0 else {
            return "\(name)\(humanSize(done))  \(humanSize(rate))/s"
        }
        let share = min(1, Double(done) / Double(total))
        let filled = Int(share * 30)
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: 30 - filled)
        let left = rate == 0 || done > total ? 0 : Int(Double(total - done) / Double(rate))
        return "\(name)[\(bar)] \(Int(share * 100))%  \(humanSize(done)) of \(humanSize(total))"
            + "  \(humanSize(rate))/s  \(left / 60) min \(left % 60) s left"
    }

    private func json() -> String {
        var fields = JSONFields()
        fields.add("phase", phaseName)
        fields.add("bytes", progress.done)
        fields.add("total", progress.total)
        fields.add("seconds", seconds)
        return (try? jsonText(fields, pretty: false)) ?? ""
    }
}
