using System.Text;
using Trainer.Configuration;
using Trainer.Data.Corpora;
using Trainer.Data.Shards;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Preparation;

/// <summary>Encodes text with an existing tokenizer, such as a checkpoint's.</summary>
public static class TextEncoding
{
    /// <summary>Encodes a text in bounded memory, to a file deleted with the result; throws if it is missing or not encodable.</summary>
    public static TokenShard Encode(SourceOptions source, Tokenizer tokenizer, string directory, IProgress<string>? progress = null,
        bool inPairs = false)
    {
        var corpus = Corpus.Open(source, "", directory, progress, inPairs);
        return Written(corpus.Name, tokenizer, marksLearned: false, progress, (writer, wrote) =>
            new ParallelEncoder(tokenizer) { KeepsPairs = corpus.IsPaired }.Encode(corpus.Read(), writer, long.MaxValue, writer, wrote));
    }

    /// <summary>Encodes conversations or preferences as <paramref name="data"/> says, likewise.</summary>
    public static TokenShard EncodeConversations(string path, DataOptions data, Tokenizer tokenizer, IProgress<string>? progress = null)
    {
        var format = data.HasPreferences ? SourceFormat.Preferences : SourceFormat.Chat;
        var corpus = (ConversationCorpus)Corpus.Open(new SourceOptions { Path = path, Format = format }, "", "");
        var encoder = ConversationPlan.Of(data)!.Encoder(tokenizer);
        return Written(corpus.Name, tokenizer, marksLearned: true, progress, (writer, wrote) =>
            new ConversationPreparation(encoder).Encode(corpus.Records(), writer, long.MaxValue, writer, wrote));
    }

    private static TokenShard Written(string name, Tokenizer tokenizer, bool marksLearned, IProgress<string>? progress,
        Action<SplitWriter, Action> encode)
    {
        var folder = Directory.CreateTempSubdirectory("trainer-tokens-").FullName;
        try
        {
            var path = Path.Combine(folder, "tokens.bin");
            using (var writer = new SplitWriter(path, tokenizer.VocabularySize, marksLearned: marksLearned))
            {
                var throughput = new ThroughputProgress(progress, $"encoding {name}");
                encode(writer, () => throughput.Report(writer.Statistics.Bytes));
                writer.Finish(new string('0', 64)); // read only once, so it needs no fingerprint
            }
            return TokenShard.Open(path, name);
        }
        finally
        {
            Directory.Delete(folder, recursive: true); // the mapping stays readable
        }
    }

    /// <summary>Reads a text, documents joined; throws where it is missing, empty, or longer than <paramref name="most"/>.</summary>
    public static string ReadAll(SourceOptions source, string directory, int most, IProgress<string>? progress = null)
    {
        var text = new StringBuilder();
        foreach (var piece in Corpus.Open(source, "", directory, progress).Read())
        {
            if (text.Length + piece.Text.Length > most)
                throw new UserException($"{source.Path} has more than {most:N0} characters, too many for one text; measure long texts with "
                    + "evaluate --data, or take a part of it");
            text.Append(piece.Text.Span);
        }
        return text.ToString();
    }
}
