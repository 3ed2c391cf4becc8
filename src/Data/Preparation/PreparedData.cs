namespace Trainer.Data;

/// <summary>Data ready to be trained on: a tokenizer and the tokens of both splits.</summary>
/// <param name="directory">The folder that holds it.</param>
/// <param name="record">What the folder says of itself.</param>
/// <param name="tokenizer">The tokenizer.</param>
/// <param name="train">The tokens to train on.</param>
/// <param name="validation">The tokens to validate on.</param>
public sealed class PreparedData(string directory, PreparedRecord record, Tokenizer tokenizer, TokenShard train, TokenShard validation) : IDisposable
{
    /// <summary>The folder that holds it.</summary>
    public string Directory { get; } = directory;

    /// <summary>SHA-256, in hexadecimal, of tokenizer, sources and split: equal data has equal fingerprints.</summary>
    public string Fingerprint => record.Fingerprint;

    /// <summary>The source files, in the order in which they were read.</summary>
    public IReadOnlyList<SourceStamp> Sources => record.Sources;

    /// <summary>Where each source of <c>data.train</c> lies in <see cref="Train"/>, in their order: what mixing them by weight needs.</summary>
    public IReadOnlyList<TokenRange> TrainSources => record.TrainSources;

    /// <summary>The tokenizer.</summary>
    public Tokenizer Tokenizer { get; } = tokenizer;

    /// <summary>The tokens to train on.</summary>
    public TokenShard Train { get; } = train;

    /// <summary>The tokens to validate on.</summary>
    public TokenShard Validation { get; } = validation;

    /// <summary>What <see cref="Train"/> holds.</summary>
    public SplitStatistics TrainStatistics => record.Train;

    /// <summary>What <see cref="Validation"/> holds.</summary>
    public SplitStatistics ValidationStatistics => record.Validation;

    /// <inheritdoc/>
    public void Dispose()
    {
        Train.Dispose();
        Validation.Dispose();
    }
}
