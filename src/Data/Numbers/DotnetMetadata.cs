using System.IO.Hashing;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;
using System.Text;
using Trainer.Configuration;
using Trainer.Data.Corpora;

namespace Trainer.Data.Numbers;

/// <summary>The series <c>dotnet-metadata</c>: the metadata tables of the SDK's reference assemblies (ECMA-335, §II.22), byte after byte.
/// </summary>
/// <remarks>A table's rows are of one width, from 2 to 22 bytes, that depends on the table and on the size of the assembly. So the series
/// of an assembly has a period that changes, which only what was read tells: neither the last value nor a fixed season forecasts it.
/// </remarks>
internal static class DotnetMetadata
{
    /// <summary>Incremented when the same files would give other series.</summary>
    public const int Version = 1;

    /// <summary>Bytes of tables that an assembly must have: most are facades with next to none.</summary>
    public const int LeastBytes = 2048;

    private const int HeldOut = 8;
    private const string Pack = "Microsoft.NETCore.App.Ref";
    private const string Need = $"format dotnet-metadata needs the reference assemblies of a .NET SDK, packs/{Pack}/*/ref/*/*.dll";

    // From 0x30 on are tables of debugging symbols.
    private static readonly TableIndex[] Tables = [.. Enum.GetValues<TableIndex>().Where(table => (int)table < 0x30).Order()];

    public static SeriesSource Open(SourceSplit split) => Open(split, DotnetInstallation.Find(
        root => ReferencePacks.Assemblies(root, Pack).Count > 0, Need, "the runtime alone has none"));

    internal static SeriesSource Open(SourceSplit split, string root)
    {
        string[] files = [.. ReferencePacks.Assemblies(root, Pack)
            .Where(file => SplitOf(file) == split && BytesOf(file).Length >= LeastBytes)];
        return files.Length > 0
            ? new("dotnet-metadata", $"dotnet-metadata {Version}", files, _ => files.Select(Read))
            : throw new UserException($"{Need}, with at least {LeastBytes:N0} bytes of metadata tables, and {root} has none for the split "
                + $"{split.ToString().ToLowerInvariant()}; repair or reinstall the .NET SDK");
    }

    private static SeriesTable Read(string file) => new(file, ["byte"], [[.. BytesOf(file).Select(value => (float)value)]]);

    // By name, so that an assembly stays in its split when the SDK is updated.
    private static SourceSplit SplitOf(string file) =>
        XxHash3.HashToUInt64(Encoding.UTF8.GetBytes(Path.GetFileNameWithoutExtension(file))) % HeldOut == 0
            ? SourceSplit.Validation
            : SourceSplit.Train;

    private static byte[] BytesOf(string file)
    {
        try
        {
            using var stream = File.OpenRead(file);
            using var executable = new PEReader(stream);
            if (!executable.HasMetadata) return [];
            var (reader, all) = (executable.GetMetadataReader(), executable.GetMetadata().GetContent());
            return [.. Tables.SelectMany(table => all.AsSpan(
                reader.GetTableMetadataOffset(table), reader.GetTableRowCount(table) * reader.GetTableRowSize(table)).ToArray())];
        }
        catch (Exception e) when (e is BadImageFormatException or IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{file}: it cannot be read as an assembly ({e.Message.TrimEnd('.')}); repair or reinstall the .NET "
                + "SDK", e);
        }
    }
}
