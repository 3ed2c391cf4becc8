using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;
using Trainer.Configuration;
using Trainer.Data.Numbers;

namespace Trainer.Data.Tests.Numbers;

/// <summary>The series <c>dotnet-metadata</c>, of the installed SDK and of folders that are none.</summary>
public sealed class DotnetMetadataTests : IDisposable
{
    private const string Assemblies = "packs/Microsoft.NETCore.App.Ref/10.0.1/ref/net10.0";

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void No_assembly_is_in_both_splits_and_all_are_large_enough()
    {
        SeriesSource[] sources = [DotnetMetadata.Open(SourceSplit.Train), DotnetMetadata.Open(SourceSplit.Validation)];
        Assert.Empty(sources[0].Files.Intersect(sources[1].Files));
        Assert.Contains(sources[0].Files.Concat(sources[1].Files), file => Path.GetFileName(file) == "System.Runtime.dll");
        Assert.InRange(sources[1].Files.Count, 1, sources[0].Files.Count);
        Assert.All(sources[1].Read([]), table => Assert.True(table.Steps >= DotnetMetadata.LeastBytes, table.Name));
    }

    // The number of a name is an offset into #Strings: names are told by the reader, bytes by the series.
    [Fact]
    public void The_bytes_are_those_of_the_tables_row_by_row()
    {
        var source = DotnetMetadata.Open(SourceSplit.Train);
        var (file, table) = (source.Files[0], source.Read([]).First());
        using var executable = new PEReader(File.OpenRead(file));
        var reader = executable.GetMetadataReader();
        var start = Enumerable.Range(0, (int)TableIndex.TypeDef).Sum(
            index => reader.GetTableRowCount((TableIndex)index) * reader.GetTableRowSize((TableIndex)index));
        var width = reader.GetTableRowSize(TableIndex.TypeDef);
        foreach (var (handle, row) in reader.TypeDefinitions.Select((handle, row) => (handle, row)).Take(20))
        {
            int[] bytes = [.. table.Columns[0].AsSpan(start + row * width, 4).ToArray().Select(value => (int)value)];
            Assert.Equal((int)reader.GetTypeDefinition(handle).Attributes, bytes[0] | bytes[1] << 8 | bytes[2] << 16 | bytes[3] << 24);
        }
    }

    [Fact]
    public void Without_reference_assemblies_it_is_said_what_is_missing()
    {
        Assert.Contains("packs/Microsoft.NETCore.App.Ref/*/ref/*/*.dll, with at least 2,048 bytes",
            Assert.Throws<UserException>(() => DotnetMetadata.Open(SourceSplit.Train, folder["nothing"])).Message);
    }

    [Fact]
    public void What_is_no_assembly_is_named()
    {
        Directory.CreateDirectory(folder[Assemblies]);
        folder.Write($"{Assemblies}/A.dll", "MZ, but no assembly");
        folder.Write($"{Assemblies}/B.dll", "MZ, but no assembly");
        Assert.Contains(".dll: it cannot be read as an assembly",
            Assert.Throws<UserException>(() => DotnetMetadata.Open(SourceSplit.Train, folder.Path)).Message);
    }

    [Fact]
    public void Data_is_prepared_from_it()
    {
        SourceOptions source = new() { Format = SourceFormat.DotnetMetadata };
        DataOptions options = new() { Train = [source], Validation = [source with { Split = SourceSplit.Validation }] };
        Assert.Empty(options.Validate().Concat(source.Validate()));
        using var data = NumberPreparation.Prepare(options, new SeriesShape(32, 8), folder["datasets"]);
        var series = Assert.IsType<SeriesPreprocessor>(data.Preprocessor);
        Assert.Equal(["byte"], series.Variables);
        var batch = data.Validation.Read([7]);
        Assert.All(batch.Values!.Concat(batch.TargetValues!), value =>
            Assert.InRange(Math.Round(value * series.Deviation[0] + series.Mean[0], 3), 0, 255));
    }
}
