using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>The files in a folder of prepared data.</summary>
internal static class PreparedFolder
{
    public static string Tokenizer(string folder) => Path.Combine(folder, "tokenizer.json");

    public static string Train(string folder) => Path.Combine(folder, "train.tokens");

    public static string Validation(string folder) => Path.Combine(folder, "validation.tokens");

    public static PreparedRecord? TryReadRecord(string folder) => PreparedRecord.TryLoad(Record(folder));

    public static void WriteRecord(string folder, PreparedRecord record) => record.Save(Record(folder));

    /// <summary>Opens the files and checks that they belong together.</summary>
    /// <exception cref="UserException">A file is missing, damaged, or of other data.</exception>
    public static PreparedData Open(string folder, PreparedRecord record)
    {
        if (HashOfTokenizer(folder) != record.TokenizerHash)
            throw new UserException($"{Tokenizer(folder)} is not the tokenizer that the tokens beside it were made with");
        var tokenizer = Data.Tokenizer.Load(Tokenizer(folder));
        var train = OpenShard(Train(folder), "data.train", record.Fingerprint, tokenizer);
        try
        {
            return new PreparedData(folder, record, tokenizer, train, OpenShard(Validation(folder), "the validation data", record.Fingerprint, tokenizer));
        }
        catch
        {
            train.Dispose();
            throw;
        }
    }

    /// <summary>SHA-256 of the tokenizer's file, in hexadecimal.</summary>
    /// <exception cref="UserException">It cannot be read.</exception>
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
