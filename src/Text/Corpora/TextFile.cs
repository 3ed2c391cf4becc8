using Trainer.Configuration;

namespace Trainer.Text;

/// <summary>A plain text file in UTF-8: one document.</summary>
public sealed class TextFile : Corpus
{
    private readonly string path;

    /// <summary>Checks that the file is there; it is read later.</summary>
    /// <param name="path">The file, relative to the working directory or absolute.</param>
    /// <param name="at">The configuration path of the source, such as <c>data.train.0</c>.</param>
    /// <exception cref="UserException">The file is missing or empty, or a folder.</exception>
    public TextFile(string path, string at)
    {
        this.path = Path.GetFullPath(path);
        if (Directory.Exists(this.path))
            throw new UserException($"{at}.path: \"{path}\" is a folder ({this.path}); name a text file, and list several files one by one");
        if (!File.Exists(this.path))
            throw new UserException($"{at}.path: there is no file \"{path}\" (looked for {this.path}); a relative path starts at the working directory");
        if (new FileInfo(this.path).Length == 0)
            throw new UserException($"{at}.path: the file \"{path}\" ({this.path}) is empty; name a file with text");
    }

    /// <inheritdoc/>
    public override string Name => Path.GetFileNameWithoutExtension(path);

    /// <inheritdoc/>
    public override IReadOnlyList<string> Files => [path];

    /// <inheritdoc/>
    public override IEnumerable<TextPiece> Read() => Utf8Text.Read(path);
}
