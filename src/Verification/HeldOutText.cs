using System.Text;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data.Shards;
using Trainer.Data.Tokenizers;
using Trainer.Evaluation;

namespace Trainer.Verification;

/// <summary>What two programs compute a model on: windows of tokens, and texts to cut into tokens.</summary>
/// <param name="Source">Where it is from.</param>
/// <param name="Windows">Token ids, each window within the context.</param>
/// <param name="Texts">Texts, among them some that tokenizers cut differently where one expression is taken for another.</param>
internal sealed record HeldOutText(string Source, IReadOnlyList<int[]> Windows, IReadOnlyList<string> Texts)
{
    private const int MostWindows = 4, LongestWindow = 512;

    // All composed (NFC): llama.cpp takes text as it is, where some tokenizers compose it first.
    private static readonly string[] Tricky =
    [
        "It's WE'LL they'RE don't I'm", "1 12 123 1234 12345,678.90", "  two  spaces\t\ttabs \n\n\n lines\r\n end  ",
        "x=f(a,b)->c[0]; // #!/?!", "naïve Ünïcödé Ελληνικά русский 漢字かな ١٢٣ Ⅷ ½", "👩‍👩‍👧 \u200b\u00a0nbsp", "\n", "    ",
        "snake_case CamelCase kebab-case", "</s><|endoftext|>[PAD0]",
    ];

    private const string Shipped = """
        The lighthouse keeper wrote every evening, whatever the weather. On the 3rd of March he noted that the wind had turned to the
        north-west, that two ships had passed before noon, and that the lamp had burned 4.5 litres of oil. He did not write that he was
        tired. "One writes what others can use," he used to say, and so the books of thirty years hold wind, ships and oil, and nothing of
        the man who counted them.

        Then, in 1911, a clerk in the harbour office began to add the figures up. He had no reason to do it; the office closed at five, the
        rain kept him inside, and the books stood on the shelf behind him. What he found was simple: in years with many westerly storms the
        herring came late, and in quiet years they came early. He drew a line through his points, and the line was straight enough.

        def mean(values):
            total = 0.0
            for value in values:
                total += value
            return total / len(values)

        Is that knowledge, or is it luck? A second clerk, who had less time and more doubts, took the first ten years alone, drew the line
        again, and asked it about the other twenty. It was right in fourteen of them. A coin, he wrote in the margin, would have been right
        in ten. Das ist nicht viel, aber es ist mehr als nichts. The fishermen, to whom both of them read their result, listened politely;
        they had known about the storms since they were boys, and they had never needed a line for it.
        """;

    /// <summary>The validation data of a checkpoint that was trained here, if it can be had; else a text of this program; for a tokenizer
    /// that takes no such text, ids drawn by a fixed rule.</summary>
    public static HeldOutText Of(Checkpoint checkpoint, string datasetsDirectory, IProgress<string>? progress)
    {
        Tokenizer tokenizer = checkpoint.Tokenizer;
        int length = Math.Min(checkpoint.Model.ContextLength, LongestWindow);
        string why = "";
        if (File.Exists(Path.Combine(checkpoint.Directory, CheckpointFiles.State)))
        {
            try
            {
                using CheckpointData data = CheckpointData.Validation(checkpoint, datasetsDirectory, progress);
                int[][] windows = [.. WindowsOf(data.Tokens, length)];
                return new(data.Name, windows, [.. Tricky.Where(Fits), .. windows.Select(window => Text(tokenizer, window)).Where(Fits)]);
            }
            catch (UserException error)
            {
                why = $", since its validation data cannot be had ({error.Message})";
            }
        }
        if (!Fits(Shipped)) return new("token ids drawn by a fixed rule, since its tokenizer takes no text" + why, Drawn(), []);
        int[] ids = tokenizer.Encode(Shipped);
        return new("a text that the program brings" + why, [.. ids.Chunk(length).Where(window => window.Length > 1).Take(MostWindows)],
            [.. Tricky.Where(Fits), Shipped]);

        bool Fits(string text)
        {
            try
            {
                return text.IsNormalized() && tokenizer.Encode(text).Length > 0;
            }
            catch (UserException)
            {
                return false;
            }
        }

        int[][] Drawn() => [.. Enumerable.Range(0, MostWindows).Select(window => Enumerable.Range(0, length)
            .Select(at => (int)((window * 7919L + at * 104_729L + (long)at * at * 31) % tokenizer.VocabularySize)).ToArray())];
    }

    private static IEnumerable<int[]> WindowsOf(TokenShard tokens, int length)
    {
        length = (int)Math.Min(length, tokens.Length);
        long[] ids = new long[length];
        int count = (int)Math.Clamp(tokens.Length / length, 1, MostWindows);
        for (int i = 0; i < count; i++)
        {
            tokens.Read((tokens.Length - length) * i / Math.Max(1, count - 1), ids);
            yield return Array.ConvertAll(ids, id => (int)id);
        }
    }

    // Windows may begin and end within a character.
    private static string Text(Tokenizer tokenizer, int[] window) =>
        tokenizer.Decode(window).Trim('\uFFFD').Normalize(NormalizationForm.FormC);
}
