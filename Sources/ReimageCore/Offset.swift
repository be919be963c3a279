/// The address space of the guest's disk.
public enum Guest {}

/// The address space of a stored file or device.
public enum Host {}

/// A byte position in one address space; positions of different spaces do not mix.
///
/// Values come from ``Offset/init(_:)`` after the number was bounded, so plain addition may trap: a number that is
/// still untrusted goes through ``adding(_:)``.
@frozen
public struct Offset<Space>: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The position in bytes.
    public let value: UInt64

    /// A position of `value` bytes.
    @inlinable
    public init(_ value: UInt64) { self.value = value }

    /// The start of the space.
    @inlinable
    public static var zero: Self { Self(0) }

    /// The position `count` bytes further on, or `nil` where that does not fit 64 bits.
    @inlinable
    public func adding(_ count: UInt64) -> Self? {
        let (sum, overflow) = value.addingReportingOverflow(count)
        return overflow ? nil : Self(sum)
    }

    @inlinable
    public static func + (start: Self, count: UInt64) -> Self { Self(start.value + count) }

    @inlinable
    public static func += (start: inout Self, count: UInt64) { start = start + count }

    /// The distance in bytes from `start` up to `end`.
    @inlinable
    public static func - (end: Self, start: Self) -> UInt64 { end.value - start.value }

    @inlinable
    public static func < (left: Self, right: Self) -> Bool { left.value < right.value }

    public var description: String { String(value) }
}

/// A position on the guest's disk, in bytes.
public typealias GuestOffset = Offset<Guest>

/// A position in a stored file or device, in bytes.
public typealias HostOffset = Offset<Host>

/// A run of bytes in one address space.
@frozen
public struct ByteRange<Space>: Hashable, Sendable, CustomStringConvertible {
    /// The first byte.
    public let start: Offset<Space>
    /// The length in bytes.
    public let count: UInt64

    /// `count` bytes from `start`; their sum must fit 64 bits.
    @inlinable
    public init(start: Offset<Space>, count: UInt64) {
        self.start = start
        self.count = count
    }

    /// The bytes from `start` up to, and without, `end`.
    @inlinable
    public init(from start: Offset<Space>, to end: Offset<Space>) {
        self.init(start: start, count: end - start)
    }

    /// The position behind the last byte.
    @inlinable
    public var end: Offset<Space> { start + count }

    /// Whether the run holds no byte.
    @inlinable
    public var isEmpty: Bool { count == 0 }

    public var description: String { "\(start)+\(count)" }
}

/// A run of bytes of the guest's disk.
public typealias GuestRange = ByteRange<Guest>

/// A run of bytes of a stored file or device.
public typealias HostRange = ByteRange<Host>

extension UInt64 {
    /// The value cut down to a multiple of `unit`.
    @inlinable
    public func roundedDown(to unit: UInt64) -> UInt64 { self - self % unit }

    /// The value raised to a multiple of `unit`, or `nil` where that does not fit 64 bits.
    @inlinable
    public func roundedUp(to unit: UInt64) -> UInt64? {
        let rest = self % unit
        guard rest != 0 else { return self }
        let (sum, overflow) = addingReportingOverflow(unit - rest)
        return overflow ? nil : sum
    }

    /// The quotient by `unit`, raised to the next whole number; never overflows.
    @inlinable
    public func dividedRoundingUp(by unit: UInt64) -> UInt64 {
        let (quotient, rest) = quotientAndRemainder(dividingBy: unit)
        return rest == 0 ? quotient : quotient + 1
    }
}
