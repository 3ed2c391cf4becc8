using System.Text;
using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>Encodes a text with a tokenizer that is there already, such as a checkpoint's.</summary>
public static class TextEncoding
{
    /// <summary>Encodes all of a text, in memory that does not grow with it.</summary>
    /// <param name="source">The text.</param>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="directory">The folder of prepared data, where built corpora are kept.</param>
    /// <param name="progress">Told what is done.</param>
    /// <param name="inPairs">Whether texts to read and texts to write are documents by turns.</param>
    /// <returns>Its tokens, in a file that is gone once they are disposed of.</returns>
    /// <exception cref="UserException">A file is missing, empty, not UTF-8, or cannot be encoded.</exception>
    public static TokenShard Encode(SourceOptions source, Tokenizer tokenizer, string directory, IProgress<string>? progress = null, bool inPairs = false)
    {
        var corpus = Corpus.Open(source, "", directory, progress, inPairs);
        var folder = Directory.CreateTempSubdirectory("trainer-tokens-").FullName;
        try
        {
            var path = Path.Combine(folder, "tokens.bin");
            using (var writer = new SplitWriter(path, tokenizer.VocabularySize))
            {
                var pulse = new Pulse(progress, $"encoding {corpus.Name}");
                new ParallelEncoder(tokenizer) { KeepsPairs = corpus.IsPaired }.Encode(corpus.Read(), writer, long.MaxValue, writer, () => pulse.Beat(writer.Statistics.Bytes));
                writer.Finish(new string('0', 64)); // it is read once: there is nothing to recognise it by
            }
            return TokenShard.Open(path, corpus.Name);
        }
        finally
        {
            Directory.Delete(folder, recursive: true); // what is mapped stays readable
        }
    }

    /// <summary>Reads all of a text into memory, documents one after the other.</summary>
    /// <param name="source">The text.</param>
    /// <param name="directory">The folder of prepared data, where built corpora are kept.</param>
    /// <param name="most">The most characters that are wanted.</param>
    /// <param name="progress">Told what is done.</param>
    /// <returns>The text.</returns>
    /// <exception cref="UserException">A file is missing, empty or not UTF-8, or there is more than that.</exception>
    public static string ReadAll(SourceOptions source, string directory, int most, IProgress<string>? progress = null)
    {
        var text = new StringBuilder();
        foreach (var piece in Corpus.Open(source, "", directory, progress).Read())
        {
            if (text.Length + piece.Text.Length > most)
                throw new UserException($"{source.Path} has more than {most:N0} characters, too many for one text; measure long texts with evaluate --data, or take a part of it");
            text.Append(piece.Text.Span);
        }
        return text.ToString();
    }
}
