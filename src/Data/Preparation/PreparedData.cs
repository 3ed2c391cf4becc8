using System.Text.Json;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Shards;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Preparation;

/// <summary>Data ready for training: a tokenizer and the tokens of both splits.</summary>
public sealed class PreparedData(string directory, PreparedRecord record, Tokenizer tokenizer, TokenShard train,
    TokenShard validation) : TrainingData
{
    /// <inheritdoc/>
    public override string Directory { get; } = directory;

    /// <summary>SHA-256, in hexadecimal, of tokenizer, sources and split: equal for equal data.</summary>
    public override string Fingerprint => record.Fingerprint;

    /// <inheritdoc/>
    public override IReadOnlyList<SourceStamp> Sources => record.Sources;

    /// <summary>Tokens of the vocabulary.</summary>
    public override int Outputs => Tokenizer.VocabularySize;

    /// <summary>The range of each <c>data.train</c> source in <see cref="Train"/>, in order, for mixing by weight.</summary>
    public IReadOnlyList<TokenRange> TrainSources => record.TrainSources;

    /// <summary>The tokenizer.</summary>
    public Tokenizer Tokenizer { get; } = tokenizer;

    /// <summary>The training tokens.</summary>
    public TokenShard Train { get; } = train;

    /// <summary>The validation tokens.</summary>
    public TokenShard Validation { get; } = validation;

    /// <summary>Statistics of <see cref="Train"/>.</summary>
    public SplitStatistics TrainStatistics => record.Train;

    /// <summary>Statistics of <see cref="Validation"/>.</summary>
    public SplitStatistics ValidationStatistics => record.Validation;

    /// <inheritdoc/>
    public override BatchStream OpenStream(DataOptions options, int contextLength, long seed, int prefixLength = 1) =>
        BatchStream.Create(this, options, contextLength, seed, prefixLength);

    /// <inheritdoc/>
    public override ValidationSet OpenValidation(
        DataOptions options, int contextLength, int batchRows, int batches, int prefixLength = 1) =>
        ValidationSet.Create(this, options, contextLength, batchRows, batches, prefixLength);

    /// <inheritdoc/>
    public override void Dispose()
    {
        Train.Dispose();
        Validation.Dispose();
    }
}

internal static class PreparedFolder
{
    public static string Tokenizer(string folder) => Path.Combine(folder, "tokenizer.json");

    public static string Train(string folder) => Path.Combine(folder, "train.tokens");

    public static string Validation(string folder) => Path.Combine(folder, "validation.tokens");

    public static PreparedRecord? TryReadRecord(string folder) => PreparedRecord.TryLoad(Record(folder));

    public static void WriteRecord(string folder, PreparedRecord record) => record.Save(Record(folder));

    /// <summary>Opens the files and checks that they belong together.</summary>
    public static PreparedData Open(string folder, PreparedRecord record)
    {
        if (HashOfTokenizer(folder) != record.TokenizerHash)
            throw new UserException($"{Tokenizer(folder)} is not the tokenizer that the tokens beside it were made with");
        var tokenizer = Tokenizers.Tokenizer.Load(Tokenizer(folder));
        var train = OpenShard(Train(folder), "data.train", record.Fingerprint, tokenizer);
        try
        {
            return new PreparedData(folder, record, tokenizer, train,
                OpenShard(Validation(folder), "the validation data", record.Fingerprint, tokenizer));
        }
        catch
        {
            train.Dispose();
            throw;
        }
    }

    public static string HashOfTokenizer(string folder) => SourceStamp.Of(Tokenizer(folder)).Sha256;

    private static TokenShard OpenShard(string path, string name, string fingerprint, Tokenizer tokenizer)
    {
        var shard = TokenShard.Open(path, name);
        if (shard.Fingerprint == fingerprint && shard.VocabularySize == tokenizer.VocabularySize)
            return shard;
        shard.Dispose();
        throw new UserException($"{path} holds the tokens of other texts or of another tokenizer");
    }

    private static string Record(string folder) => Path.Combine(folder, "prepared.json");
}

/// <summary>The file <c>prepared.json</c>. <c>Fingerprint</c> is the SHA-256 of tokenizer, sources and split, <c>TokenizerHash</c> that of
/// <c>tokenizer.json</c>, <c>Identity</c> the configuration.</summary>
public sealed record PreparedRecord(
    string Fingerprint, string Identity, string TokenizerHash, IReadOnlyList<SourceStamp> Sources,
    IReadOnlyList<TokenRange> TrainSources, SplitStatistics Train, SplitStatistics Validation)
{
    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web) { WriteIndented = true,
        RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true };

    internal void Save(string path) => AtomicFile.Write(path, stream => JsonSerializer.Serialize(stream, this, Format));

    internal static PreparedRecord? TryLoad(string path)
    {
        try
        {
            return File.Exists(path) ? JsonSerializer.Deserialize<PreparedRecord>(File.ReadAllBytes(path), Format) : null;
        }
        catch (Exception e) when (e is JsonException or IOException)
        {
            return null;
        }
    }
}

/// <summary>Statistics of one split: documents that begin or continue in it, code points, UTF-8 bytes, and tokens.</summary>
public sealed record SplitStatistics(long Documents, long Characters, long Bytes, long Tokens)
{
    /// <summary>Average bytes of text per token; converts nats per token to bits per byte.</summary>
    public double BytesPerToken => Tokens == 0 ? 0 : (double)Bytes / Tokens;
}

/// <summary>A prepared folder according to its record: source files, whether all are unchanged, size on disk, and both splits.</summary>
public sealed record PreparedDataset(string Directory, int Files, bool IsCurrent, long Bytes, SplitStatistics Train,
    SplitStatistics Validation)
{
    /// <summary>The datasets in a folder, which may be missing, by name; damaged folders and earlier versions are left out.</summary>
    public static IReadOnlyList<PreparedDataset> Find(string directory) =>
        !System.IO.Directory.Exists(directory) ? [] :
        [
            .. from folder in System.IO.Directory.GetDirectories(directory).Order(StringComparer.Ordinal)
               where Path.GetExtension(folder) is not (".tmp" or ".old")
               let record = PreparedFolder.TryReadRecord(folder)
               where record is not null
               select new PreparedDataset(
                   folder, record.Sources.Count, record.Sources.All(source => source.IsUntouched()),
                   new DirectoryInfo(folder).GetFiles().Sum(file => file.Length), record.Train, record.Validation),
        ];
}
