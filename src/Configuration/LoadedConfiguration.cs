namespace Trainer.Configuration;

/// <summary>A configuration, and where it came from.</summary>
/// <typeparam name="T">The record it is bound into.</typeparam>
public sealed class LoadedConfiguration<T>
{
    private readonly Func<string, string> explain;

    internal LoadedConfiguration(T value, IReadOnlyList<string> sourceFiles, Func<string, string> explain)
    {
        Value = value;
        SourceFiles = sourceFiles;
        this.explain = explain;
    }

    /// <summary>The bound record; it keeps every rule.</summary>
    public T Value { get; }

    /// <summary>The files that were read, lowest layer first: the bases, then the file that was asked for.</summary>
    public IReadOnlyList<string> SourceFiles { get; }

    /// <summary>Says where a setting came from.</summary>
    /// <param name="path">Its path, such as <c>training.steps</c> or <c>data.train.0.path</c>.</param>
    /// <returns><c>in configs/x.json:7</c>, <c>from environment variable …</c>, <c>from --set …</c>, or <c>by default</c>.</returns>
    public string Explain(string path) => explain(path);
}
