using System.Text.Json;
using Trainer.Configuration;
using Trainer.Data.Corpora;

namespace Trainer.Data.Numbers;

/// <summary>A picture to be read: its class, its file or number, and its pixels by channel, row and column.</summary>
internal sealed record ImageEntry(string Class, string Name, Func<byte[]> Read);

/// <summary>Pictures of one source of a recipe, always the same and in the same order.</summary>
internal sealed record ImageSource(
    string Name, string Reading, IReadOnlyList<string> Files, IReadOnlyList<string> Classes, IReadOnlyList<ImageEntry> Entries)
{
    /// <exception cref="UserException">There are no pictures, or they are not in a folder for each class.</exception>
    public static ImageSource Open(SourceOptions source, ImageShape shape, bool resize, string at) =>
        source.Format == SourceFormat.Synthetic
            ? Drawn((ShapesTaskOptions)source.Task!, source, shape, resize)
            : Folder(source.Path!, shape, resize, $"{at}.path: ");

    /// <summary>The PNG files below a folder, which has a folder for each class; <paramref name="at"/> begins messages.</summary>
    public static ImageSource Folder(string path, ImageShape shape, bool resize, string at = "")
    {
        var root = Path.GetFullPath(path);
        if (!Directory.Exists(root))
            throw new UserException($"{at}there is no folder \"{path}\" (looked for {root}); name one that has a folder of PNG files for "
                + "each class");
        string[] folders = [.. Directory.GetDirectories(root).Where(folder => !Path.GetFileName(folder).StartsWith('.'))
            .Order(StringComparer.Ordinal)];
        if (Directory.GetFiles(root).FirstOrDefault(file => !Path.GetFileName(file).StartsWith('.')) is { } stray)
            throw new UserException($"{at}{stray} is in no folder of a class; pictures lie in {Path.Combine(root, "<class>")}/");
        if (folders.Length < 2)
            throw new UserException($"{at}the folder \"{path}\" ({root}) has {folders.Length} folders of classes, and at least 2 can be "
                + "told apart; put the PNG files of each class in a folder of its name");
        var entries = new List<ImageEntry>();
        foreach (var folder in folders)
        {
            var files = FileGlob.Below(folder);
            if (files.Count == 0)
                throw new UserException($"{at}the folder {folder} of a class is empty; put PNG files there, or remove it");
            entries.AddRange(files.Select(file => new ImageEntry(
                Path.GetFileName(folder), file, () => PngFile.Read(file).ToChannels(shape, resize, file))));
        }
        return new(Path.GetFileName(root), $"images resize {resize}", [.. entries.Select(entry => entry.Name)],
            [.. folders.Select(folder => Path.GetFileName(folder))], entries);
    }

    // Nothing drawn is resized, but what is prepared says whether other pictures may be.
    private static ImageSource Drawn(ShapesTaskOptions task, SourceOptions source, ImageShape shape, bool resize)
    {
        var (examples, seed) = (source.Examples ?? SourceOptions.DefaultExamples, source.Seed ?? 1);
        var split = source.Split ?? SourceSplit.Train;
        var options = JsonSerializer.Serialize<SyntheticTaskOptions>(task, JsonSerializerOptions.Web);
        var drawing = new ShapeDrawing(task, shape, seed, split);
        return new("synthetic-shapes",
            $"synthetic {ShapeDrawing.Version} {options} examples {examples} seed {seed} {split}{(resize ? " resize" : "")}",
            [], ShapeDrawing.Classes, [.. Enumerable.Range(0, (int)Math.Min(examples, int.MaxValue)).Select(number =>
                new ImageEntry(drawing.ClassOf(number), $"shape {number + 1}", () => drawing.Draw(number)))]);
    }
}
