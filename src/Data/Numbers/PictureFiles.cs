using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Corpora;

namespace Trainer.Data.Numbers;

/// <summary>A PNG file, and the class that its folder says; null for a picture of unknown class.</summary>
public sealed record PictureFile(string Path, string? Class)
{
    /// <summary>A picture, the pictures of a folder, or of its folders of classes.</summary>
    /// <exception cref="UserException">There are none, or a folder is no class of the model.</exception>
    public static IReadOnlyList<PictureFile> Find(string path, ImagePreprocessor preprocessor)
    {
        var whole = System.IO.Path.GetFullPath(path);
        if (File.Exists(whole))
            return [new(whole, null)];
        if (!Directory.Exists(whole))
            throw new UserException($"there is no file or folder \"{path}\" (looked for {whole}); name a PNG file, or a folder of such");
        string[] folders = [.. Directory.GetDirectories(whole).Where(folder => !System.IO.Path.GetFileName(folder).StartsWith('.'))
            .Order(StringComparer.Ordinal)];
        foreach (var folder in folders)
            if (!preprocessor.Classes.Contains(System.IO.Path.GetFileName(folder)))
                throw new UserException($"the folder {folder} is none of the model's classes ({string.Join(", ", preprocessor.Classes)}); "
                    + "name one of PNG files alone, or of a folder for each class");
        PictureFile[] found = folders.Length == 0
            ? [.. FileGlob.Below(whole).Select(file => new PictureFile(file, null))]
            : [.. folders.SelectMany(folder => FileGlob.Below(folder).Select(
                file => new PictureFile(file, System.IO.Path.GetFileName(folder))))];
        return found.Length > 0
            ? found
            : throw new UserException($"the folder \"{path}\" ({whole}) has no pictures; name one with PNG files");
    }

    /// <summary>The picture as the model sees it, red, green and blue row by row: of its size, and grey where it reads no colours.</summary>
    /// <exception cref="UserException">The file is damaged, or of another size than the model reads.</exception>
    public byte[] Colours(ImageShape shape, ImagePreprocessor preprocessor)
    {
        var pixels = PngFile.Read(Path).ToChannels(shape, preprocessor.Resize, Path);
        var area = shape.Height * shape.Width;
        return [.. Enumerable.Range(0, 3 * area).Select(place => pixels[place % 3 % shape.Channels * area + place / 3])];
    }

    /// <summary>Reads pictures as a model reads them; those of unknown class count for no target.</summary>
    /// <exception cref="UserException">A file is damaged, or of another size than the model reads.</exception>
    public static Batch Read(IReadOnlyList<PictureFile> files, ImageShape shape, ImagePreprocessor preprocessor)
    {
        var (values, classes) = (new float[files.Count * shape.Values], new long[files.Count]);
        for (var i = 0; i < files.Count; i++)
        {
            var pixels = PngFile.Read(files[i].Path).ToChannels(shape, preprocessor.Resize, files[i].Path);
            preprocessor.Standardise(pixels, values.AsSpan(i * shape.Values, shape.Values));
            classes[i] = files[i].Class is { } name ? preprocessor.Classes.ToList().IndexOf(name) : Batch.Ignored;
        }
        return new Batch([], classes, files.Count, 1) { Values = values };
    }
}
