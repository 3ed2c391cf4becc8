using System.IO.Compression;

namespace Trainer.Data;

/// <summary>gzip that notices when it ends too soon.</summary>
/// <remarks>.NET takes the end of a truncated stream for the end of its content unless this switch says otherwise. It must be set
/// before the process first compresses anything, so the projects' runtime configuration (Directory.Build.props) sets it too.</remarks>
internal static class Gzip
{
    static Gzip() => AppContext.SetSwitch("System.IO.Compression.UseStrictValidation", true);

    /// <summary>Decompresses a stream of one or more members; it is disposed of with the result.</summary>
    public static Stream Open(Stream source) => new GZipStream(source, CompressionMode.Decompress);
}
