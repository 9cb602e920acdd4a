/// An image as `./dev image` makes it; deploy/image/dpu-slot/image.h describes the format.
struct ImageFile {
  private enum Offset {
    static let length = 16, signature = 64, manifest = 128
  }
  private static let magic = Array("dpu-image 1\n".utf8)
  private static let manifestBytesMax = 1 << 20

  let path: String
  let bytes: [UInt8]
  let manifest: JSONValue
  private let manifestEnd: Int

  init(path: String) throws {
    self.path = path
    bytes = try InputFile.bytes(of: path)
    guard bytes.count >= Offset.manifest, bytes.starts(with: Self.magic) else {
      throw Failure.refused("\(path): not a dpu image")
    }
    let length = bytes[Offset.length..<Offset.length + 8].reversed().reduce(UInt64(0)) {
      $0 << 8 | UInt64($1)
    }
    guard length > 0, length <= Self.manifestBytesMax else {
      throw Failure.refused("\(path): not a dpu image")
    }
    manifestEnd = Offset.manifest + Int(length)
    guard manifestEnd <= bytes.count else {
      throw Failure.refused("\(path): truncated within the manifest")
    }
    let text = String(decoding: bytes[Offset.manifest..<manifestEnd], as: UTF8.self)
    guard let manifest = JSONValue(text), manifest["format"].integer == 1,
      !manifest["files"].elements.isEmpty
    else { throw Failure.refused("\(path): the manifest cannot be read") }
    self.manifest = manifest
  }

  var version: String { manifest["version"].cell }
  var architecture: String { manifest["architecture"].cell }
  var kernel: String { manifest["kernel"].cell }
  /// A board that has committed it takes none with a smaller one.
  var securityVersion: Int { manifest["securityVersion"].integer ?? 0 }

  /// Size and SHA-256 of every file, and that nothing stands behind them.
  func checkFiles() throws {
    var offset = Self.padded(manifestEnd)
    for file in manifest["files"].elements {
      guard case .string(let name) = file["name"], case .string(let hash) = file["sha256"],
        let size = file["size"].integer, (0...bytes.count).contains(size)
      else { throw Failure.refused("\(path): truncated, or a file of the manifest is wrong") }
      guard offset + size <= bytes.count else {
        throw Failure.refused("\(path): truncated: \(name) is not whole")
      }
      let answer = try ChildProcess.run(["sha256sum"], input: bytes[offset..<offset + size])
      guard answer.status == 0, answer.output.prefix(64) == hash else {
        throw Failure.refused("\(path): \(name) is not what was signed")
      }
      offset += Self.padded(size)
    }
    guard offset == bytes.count else {
      throw Failure.refused("\(path): \(bytes.count) bytes, of which \(offset) are signed")
    }
  }

  /// That the owner of the public key in the PEM file `key` signed the manifest.
  func checkSignature(_ key: String) throws {
    _ = try InputFile.bytes(of: key)
    let folder = try TemporaryFolder()
    let manifest = try folder.file("manifest", bytes[Offset.manifest..<manifestEnd])
    let signature = try folder.file("signature", bytes[Offset.signature..<Offset.manifest])
    let answer = try ChildProcess.run([
      "openssl", "pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", manifest,
      "-sigfile", signature,
    ])
    guard answer.status == 0 else {
      throw Failure.refused("\(path): the signature is not of the key \(key)")
    }
  }

  private static func padded(_ size: Int) -> Int { (size + 511) / 512 * 512 }

  var summary: JSONValue {
    .object([
      .init("version", version), .init("securityVersion", securityVersion),
      .init("architecture", architecture), .init("kernel", kernel), .init("bytes", bytes.count),
      .init("files", manifest["files"]),
    ])
  }

  var table: String {
    var table = Table([.left("FILE"), .right("SIZE"), .left("SHA-256")])
    for file in manifest["files"].elements {
      table.add([file["name"].cell, Units.bytes(file["size"]), file["sha256"].cell])
    }
    let security = securityVersion == 0 ? "" : ", security version \(securityVersion)"
    return "\(version) for \(architecture), kernel \(kernel)\(security)\n\n\(table.text)"
  }
}
