using Trainer.Data.Batches;

namespace Trainer.Data.Preparation;

/// <summary>Data ready for training: the tokens of texts (<see cref="PreparedData"/>), or pictures and time series
/// (<see cref="Numbers.NumberData"/>).</summary>
public abstract class TrainingData : IDisposable
{
    private protected TrainingData()
    {
    }

    /// <summary>The folder with the data.</summary>
    public abstract string Directory { get; }

    /// <summary>SHA-256, in hexadecimal, of all that the data depends on: equal for equal data.</summary>
    public abstract string Fingerprint { get; }

    /// <summary>The source files in reading order.</summary>
    public abstract IReadOnlyList<SourceStamp> Sources { get; }

    /// <summary>Outputs of a model of this data: tokens of the vocabulary, classes, or values of a forecast.</summary>
    public abstract int Outputs { get; }

    /// <summary>The training data at its beginning; the first <paramref name="prefixLength"/> tokens of a row are given, and no targets.
    /// </summary>
    /// <exception cref="Trainer.Configuration.UserException">A source is too short for one row, or the tokenizer lacks a special token.
    /// </exception>
    public abstract BatchStream OpenStream(DataOptions options, int contextLength, long seed, int prefixLength = 1);

    /// <summary>Fixed rows from all over the validation data.</summary>
    /// <exception cref="Trainer.Configuration.UserException">The data is too short for a row, or a special token is missing.</exception>
    public abstract ValidationSet OpenValidation(DataOptions options, int contextLength, int batchRows, int batches, int prefixLength = 1);

    /// <inheritdoc/>
    public abstract void Dispose();
}
