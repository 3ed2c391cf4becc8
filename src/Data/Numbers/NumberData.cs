using System.IO.Hashing;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Win32.SafeHandles;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Preparation;

namespace Trainer.Data.Numbers;

/// <summary>Pictures or time series ready for training, and how their numbers are read.</summary>
public sealed class NumberData : TrainingData
{
    private readonly NumberRecord record;

    internal NumberData(string directory, NumberRecord record, NumberSplit train, NumberSplit validation) =>
        (Directory, this.record, Train, Validation) = (directory, record, train, validation);

    /// <inheritdoc/>
    public override string Directory { get; }

    /// <inheritdoc/>
    public override string Fingerprint => record.Fingerprint;

    /// <inheritdoc/>
    public override IReadOnlyList<SourceStamp> Sources => record.Sources;

    /// <summary>How numbers are read, and what outputs stand for.</summary>
    public Preprocessor Preprocessor => record.Preprocessor;

    /// <inheritdoc/>
    public override int Outputs => Preprocessor.Outputs;

    /// <summary>The training examples: pictures, or windows of a variable.</summary>
    public NumberSplit Train { get; }

    /// <summary>The validation examples.</summary>
    public NumberSplit Validation { get; }

    /// <inheritdoc/>
    public override BatchStream OpenStream(DataOptions options, int contextLength, long seed, int prefixLength = 1) =>
        new RowBatches<long>(new ExampleStream(Train.Count, seed), examples => () => Train.Read(examples));

    /// <inheritdoc/>
    public override ValidationSet OpenValidation(
        DataOptions options, int contextLength, int batchRows, int batches, int prefixLength = 1) =>
        Validation.Spread(batchRows, batches);

    /// <inheritdoc/>
    public override void Dispose()
    {
        Train.Dispose();
        Validation.Dispose();
    }
}

/// <summary>Examples of numbers and their targets, by index. Thread-safe.</summary>
public abstract class NumberSplit : IDisposable
{
    private readonly SafeFileHandle file;

    private protected NumberSplit(SafeFileHandle file, InputShape shape) => (this.file, Shape) = (file, shape);

    /// <summary>The numbers of an example.</summary>
    public InputShape Shape { get; }

    /// <summary>Number of examples.</summary>
    public abstract long Count { get; }

    /// <summary>Reads examples into a batch.</summary>
    public abstract Batch Read(ReadOnlySpan<long> examples);

    /// <summary>At most so many batches of examples, spread evenly; the same ones every time.</summary>
    public ValidationSet Spread(int batchRows, int batches)
    {
        var rows = (int)Math.Min(Math.Min((long)batchRows * batches, Count), int.MaxValue);
        return new ValidationSet(rows, batchRows, (first, end) =>
            Read([.. Enumerable.Range(first, end - first).Select(row => (long)((Int128)row * Count / rows))]));
    }

    /// <inheritdoc/>
    public void Dispose() => file.Dispose();

    private protected void Fill(Span<byte> destination, long offset)
    {
        for (var read = 0; read < destination.Length;)
        {
            var now = RandomAccess.Read(file, destination[read..], offset + read);
            read += now > 0 ? now : throw new UserException("the prepared data was cut short while it was read; start again");
        }
    }
}

/// <summary>Pictures: for each 4 bytes of class and a byte for each number.</summary>
internal sealed class ImageSplit(SafeFileHandle file, ImageShape shape, ImagePreprocessor preprocessor, long count)
    : NumberSplit(file, shape)
{
    public const int LabelBytes = sizeof(int);

    public override long Count => count;

    public override Batch Read(ReadOnlySpan<long> examples)
    {
        var (size, values) = (LabelBytes + Shape.Values, new float[examples.Length * Shape.Values]);
        var classes = new long[examples.Length];
        var stored = new byte[size];
        for (var row = 0; row < examples.Length; row++)
        {
            Fill(stored, examples[row] * size);
            classes[row] = MemoryMarshal.Read<int>(stored);
            preprocessor.Standardise(stored.AsSpan(LabelBytes), values.AsSpan(row * Shape.Values, Shape.Values));
        }
        return new Batch([], classes, examples.Length, 1) { Values = values };
    }
}

/// <summary>An endless shuffle of examples; each epoch visits each of them once.</summary>
internal sealed class ExampleStream(long count, long seed) : RowStream<long>
{
    private long epoch;
    private long index;
    private KeyedPermutation order = OrderOf(count, seed, 0);

    public override StreamPosition Position
    {
        get => new(epoch, index);
        set
        {
            if (value.Epoch < 0 || value.Index < 0 || value.Index > count || value.Block != 0 || value.Sources is not null)
                throw NoSuchPlace(value, $"data.train has {count} examples an epoch");
            (epoch, index, order) = (value.Epoch, value.Index, OrderOf(count, seed, value.Epoch));
        }
    }

    public override long Next()
    {
        if (index == count)
            (epoch, index, order) = (epoch + 1, 0, OrderOf(count, seed, epoch + 1));
        return order[index++];
    }

    private static KeyedPermutation OrderOf(long count, long seed, long epoch) =>
        new(count, KeyedPermutation.Mix(EpochKey(seed, epoch) + 2));
}

/// <summary>The file <c>numbers.json</c> beside the prepared numbers. <c>Segments</c> are lengths of stretches of time; empty for pictures.
/// </summary>
internal sealed record NumberRecord(
    string Identity, string Fingerprint, IReadOnlyList<SourceStamp> Sources, Preprocessor Preprocessor, SplitRecord Train,
    SplitRecord Validation)
{
    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web) { WriteIndented = true,
        RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };

    public void Save(string folder) => AtomicFile.Write(PathIn(folder), stream => JsonSerializer.Serialize(stream, this, Format));

    public static NumberRecord? TryLoad(string folder)
    {
        try
        {
            return File.Exists(PathIn(folder)) ? JsonSerializer.Deserialize<NumberRecord>(File.ReadAllBytes(PathIn(folder)), Format) : null;
        }
        catch (Exception e) when (e is JsonException or IOException)
        {
            return null;
        }
    }

    private static string PathIn(string folder) => Path.Combine(folder, "numbers.json");
}

/// <summary>One split: its file's hash, its examples, and the lengths of its segments of time.</summary>
internal sealed record SplitRecord(string Hash, long Examples, IReadOnlyList<int> Segments)
{
    public static string HashOf(string path)
    {
        using var stream = File.OpenRead(path);
        var hash = new XxHash3();
        hash.Append(stream);
        return Convert.ToHexStringLower(hash.GetCurrentHash());
    }
}
