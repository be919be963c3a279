import ReimageSystem
import Testing

/// What the kernel's files say of memory.
@Suite struct AvailableMemoryTests {
    private static let machine = "MemTotal:       24684096 kB\nMemFree:  100 kB\nMemAvailable:    2000000 kB\n"

    private func bytes(_ files: [String: String]) -> UInt64? {
        AvailableMemory { files[$0].map { Array($0.utf8) } }.byteCount
    }

    @Test func theMachineAlone() {
        #expect(bytes(["/proc/meminfo": Self.machine]) == 2_000_000 * 1024)
        #expect(bytes([:]) == nil)
        #expect(bytes(["/proc/meminfo": "MemAvailable: many kB\n"]) == nil)
    }

    @Test func theTightestGroupOfVersion2() {
        var files = [
            "/proc/meminfo": Self.machine, "/proc/self/cgroup": "0::/user/one.scope\n",
            "/sys/fs/cgroup/user/one.scope/memory.max": "max\n",
            "/sys/fs/cgroup/user/one.scope/memory.current": "5000\n",
            "/sys/fs/cgroup/user/memory.max": "1000000\n", "/sys/fs/cgroup/user/memory.current": "300000\n",
        ]
        #expect(bytes(files) == 700_000)
        // Pages of files that nobody reads any more give way.
        files["/sys/fs/cgroup/user/memory.stat"] = "anon 100\ninactive_file 200000\nactive_file 50000\n"
        #expect(bytes(files) == 900_000)
        files["/sys/fs/cgroup/user/memory.current"] = "1000001\n"
        files["/sys/fs/cgroup/user/memory.stat"] = nil
        #expect(bytes(files) == 0)
    }

    @Test func aGroupOfVersion1() {
        var files = [
            "/proc/meminfo": Self.machine, "/proc/self/cgroup": "9:name=systemd:/\n4:cpu,memory:/box/7\n0::/\n",
            "/sys/fs/cgroup/memory/box/7/memory.limit_in_bytes": "9223372036854771712\n",
            "/sys/fs/cgroup/memory/box/7/memory.usage_in_bytes": "4096\n",
        ]
        #expect(bytes(files) == 2_000_000 * 1024)
        files["/sys/fs/cgroup/memory/box/7/memory.limit_in_bytes"] = "536870912\n"
        #expect(bytes(files) == 536_870_912 - 4096)
    }

    /// A container without a namespace of its own sees the path outside, and the group at the root.
    @Test func aContainersRoot() {
        let files = [
            "/proc/meminfo": Self.machine, "/proc/self/cgroup": "4:memory:/docker/abc\n",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes": "1048576\n",
            "/sys/fs/cgroup/memory/memory.usage_in_bytes": "48576\n",
            "/sys/fs/cgroup/memory/memory.stat": "total_inactive_file 10000\n",
        ]
        #expect(bytes(files) == 1_010_000)
    }

    @Test func thisMachine() {
        guard HostTree.contents(of: "/proc/meminfo", limit: 1) != nil else {
            print("skipped: there is no /proc/meminfo")
            return
        }
        #expect(AvailableMemory.system.byteCount.map { $0 > 1 << 20 } == true)
    }
}
