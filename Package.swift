// swift-tools-version: 6.2
import PackageDescription

// Every Swift target is built alike: language mode 6, strict memory safety, imports that say what they need,
// and no warning left standing.
let house: [SwiftSetting] = [
    .strictMemorySafety(),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: house)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], files: [String] = []) -> Target {
    .testTarget(
        name: name, dependencies: dependencies + ["ReimageCore", "ReimageTesting", "TestSupport"], exclude: files,
        swiftSettings: house)
}

func system(_ name: String, pkgConfig: String, apt: String, brew: String) -> Target {
    .systemLibrary(name: name, pkgConfig: pkgConfig, providers: [.apt([apt]), .brew([brew])])
}

let package = Package(
    name: "reimage",
    products: [
        .library(
            name: "Reimage",
            targets: ["Reimage", "ReimagePipeline", "ReimageSystem", "ReimageCodecs", "ReimageCore"]),
        .library(name: "ReimageTesting", targets: ["ReimageTesting"]),
        .executable(name: "reimage", targets: ["ReimageCLI"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
    ],
    targets: [
        system("CZlib", pkgConfig: "zlib", apt: "zlib1g-dev", brew: "zlib"),
        system("CZstd", pkgConfig: "libzstd", apt: "libzstd-dev", brew: "zstd"),
        system("CLZMA", pkgConfig: "liblzma", apt: "liblzma-dev", brew: "xz"),
        system("CDeflate", pkgConfig: "libdeflate", apt: "libdeflate-dev", brew: "libdeflate"),
        system("CXXHash", pkgConfig: "libxxhash", apt: "libxxhash-dev", brew: "xxhash"),
        .target(name: "CReimageSystem"),
        // Many messages at once, by vector instructions that Swift has no names for.
        .target(name: "CSHA256"),

        library("ReimageCore", []),
        library("ReimageSystem", ["ReimageCore", "CReimageSystem"]),
        library(
            "ReimageCodecs",
            [
                "ReimageCore", "CZlib", "CZstd", "CLZMA", "CDeflate", "CXXHash", "CSHA256",
                .product(name: "Crypto", package: "swift-crypto"),
            ]),
        library("RawFormat", ["ReimageCore", "ReimageCodecs"]),
        library("QCOW2Format", ["ReimageCore", "ReimageCodecs"]),
        library("VHDFormat", ["ReimageCore", "ReimageCodecs"]),
        library("ArchiveFormat", ["ReimageCore", "ReimageCodecs"]),
        library("ReimagePipeline", ["ReimageCore", "ReimageSystem", "ReimageCodecs"]),
        library("ReimageDisks", ["ReimageCore", "ReimageSystem", "ReimageCodecs", "ReimagePipeline"]),
        library(
            "Reimage",
            [
                "ReimageCore", "ReimageSystem", "ReimageCodecs", "RawFormat", "QCOW2Format", "VHDFormat",
                "ArchiveFormat", "ReimagePipeline",
            ]),
        library("ReimageTesting", ["ReimageCore"]),
        .executableTarget(
            name: "ReimageCLI",
            dependencies: [
                "Reimage", "ReimageCore", "ReimageSystem", "ReimageCodecs", "ReimageDisks", "ReimagePipeline",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: house),

        // What tests of several targets use: scratch folders, and outside programs run with a time limit.
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: house),
        tests("ReimageCoreTests", []),
        tests("ReimageSystemTests", ["ReimageSystem"]),
        tests("ReimageCodecsTests", ["ReimageCodecs"]),
        tests("RawFormatTests", ["RawFormat"]),
        tests("QCOW2FormatTests", ["QCOW2Format", "RawFormat", "ReimageSystem"]),
        tests("VHDFormatTests", ["VHDFormat", "RawFormat", "ReimageSystem"]),
        tests(
            "ArchiveFormatTests", ["ArchiveFormat", "ReimageCodecs", "ReimagePipeline", "ReimageSystem"],
            files: ["Golden"]),
        tests("ReimagePipelineTests", ["Reimage", "ReimagePipeline", "ReimageSystem", "ReimageCodecs", "RawFormat"]),
        tests("ReimageDisksTests", ["ReimageDisks", "ReimageSystem", "ReimageCodecs", "ReimagePipeline"]),
        tests("ReimageCLITests", ["ReimageCLI", "ReimageSystem"]),
        tests("InteropTests", ["ReimageCLI", "ReimageSystem"]),
    ],
    swiftLanguageModes: [.v6]
)
