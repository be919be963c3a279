// swift-tools-version: 6.2
import PackageDescription

// Built by Benchmarks/micro, apart from the package that it measures.
let package = Package(
    name: "micro",
    dependencies: [.package(name: "reimage", path: "../..")],
    targets: [
        .executableTarget(
            name: "micro",
            dependencies: [
                .product(name: "Reimage", package: "reimage"), .product(name: "ReimageTesting", package: "reimage"),
            ],
            swiftSettings: [
                .strictMemorySafety(), .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("InternalImportsByDefault"), .treatAllWarnings(as: .error),
            ])
    ],
    swiftLanguageModes: [.v6]
)
