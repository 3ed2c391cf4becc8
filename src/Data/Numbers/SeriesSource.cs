using System.Text.Json;
using Trainer.Configuration;
using Trainer.Data.Corpora;

namespace Trainer.Data.Numbers;

/// <summary>Time series of one source of a recipe, always the same and in the same order. <c>Read</c> gets the columns to ignore, and
/// <c>Reading</c> says how numbers are made of the files.</summary>
internal sealed record SeriesSource(
    string Name, string Reading, IReadOnlyList<string> Files, Func<IReadOnlyList<string>, IEnumerable<SeriesTable>> Read)
{
    /// <summary>Opens a source; <paramref name="at"/> begins messages.</summary>
    /// <exception cref="UserException">There are no files.</exception>
    public static SeriesSource Open(SourceOptions source, string at) => source.Format switch
    {
        SourceFormat.Synthetic => Drawn((WavesTaskOptions)source.Task!, source.Seed ?? 1),
        SourceFormat.DotnetMetadata => DotnetMetadata.Open(source.Split ?? SourceSplit.Train),
        _ => Tables(source.Path!, at),
    };

    private static SeriesSource Drawn(WavesTaskOptions task, long seed)
    {
        var options = JsonSerializer.Serialize<SyntheticTaskOptions>(task, JsonSerializerOptions.Web);
        return new("synthetic-waves", $"synthetic {WaveDrawing.Version} {options} seed {seed}", [], _ => [WaveDrawing.Draw(task, seed)]);
    }

    private static SeriesSource Tables(string path, string at)
    {
        var whole = Path.GetFullPath(path);
        var files = FileGlob.IsPattern(path) ? FileGlob.Match(path)
            : Directory.Exists(whole) ? FileGlob.Below(whole)
            : File.Exists(whole) ? [whole]
            : throw new UserException($"{at}there is no file \"{path}\" (looked for {whole}); a relative path starts at the "
                + "working directory");
        return files.Count > 0
            ? new(Path.GetFileNameWithoutExtension(whole), "series", files, ignore => files.Select(file => SeriesFile.Read(file, ignore)))
            : throw new UserException($"{at}there are no files at \"{path}\" ({whole}); name tables as CSV or Parquet");
    }
}
