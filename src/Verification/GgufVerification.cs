// Shapes: T tokens, V vocabulary.
using System.Globalization;
using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using LLama.Native;
using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Gguf;
using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Evaluation.Scoring;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Verification;

/// <summary>Compares what llama.cpp computes from a GGUF file with what this program computes from its checkpoint.</summary>
/// <remarks>
/// What the file holds is compared number by number. What it means is compared by computing it twice: as it is stored, where llama.cpp
/// rounds activations too and only a rough agreement can be asked for, and with all tensors in float32 (a temporary file beside it), where
/// both programs compute the same and a wrong setting, permutation or kernel shows.
/// </remarks>
public static class GgufVerification
{
    private const int GreedyTokens = 64, LongestPrompt = 32, Likeliest = 20, MostListed = 20, Shown = 60;

    /// <summary>The largest difference of log-probabilities in float32 arithmetic: trained models show up to 1e-5.</summary>
    private const double ExactGap = 1e-3;

    /// <summary>The same for GPT-2, whose GELU llama.cpp reads from a table in float16: small models show 2e-3.</summary>
    private const double TableGap = 2e-2;

    /// <summary>Compares, and returns the certificate, which is not saved yet.</summary>
    /// <param name="checkpoint">The checkpoint that the file was made of.</param>
    /// <param name="path">The GGUF file.</param>
    /// <param name="datasetsDirectory">Where prepared texts are kept.</param>
    /// <param name="progress">Told what is being prepared.</param>
    /// <exception cref="UserException">The file is missing or no GGUF, llama.cpp lacks the model or cannot be loaded.</exception>
    public static Certificate Run(Checkpoint checkpoint, string path, string datasetsDirectory, IProgress<string>? progress = null)
    {
        using GgufComparison file = GgufComparison.Open(checkpoint, path);
        HeldOutText text = HeldOutText.Of(checkpoint, datasetsDirectory, progress);
        double? perplexity = null;
        List<Check> checks = [.. new Comparison(checkpoint, path, file, text).Checks(value => perplexity = value)];
        return new()
        {
            File = Describe(path),
            Checkpoint = Describe(Path.Combine(checkpoint.Directory, CheckpointFiles.Model)),
            Tensors = file.Types,
            Programs = new Dictionary<string, string>
            {
                ["trainer"] = typeof(GgufVerification).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!
                    .InformationalVersion,
                ["llama.cpp"] = LlamaCpp.Version,
            },
            Text = text.Source,
            Perplexity = perplexity,
            Checks = checks,
        };
    }

    private static CheckedFile Describe(string path)
    {
        using FileStream stream = File.OpenRead(path);
        return new(path, stream.Length, Convert.ToHexStringLower(SHA256.HashData(stream)));
    }

    private sealed class Comparison(Checkpoint checkpoint, string path, GgufComparison file, HeldOutText text)
    {
        private readonly int context = text.Windows.Max(window =>
            Math.Min(checkpoint.Model.ContextLength, Math.Max(window.Length, Prompt(window) + GreedyTokens)));

        public IEnumerable<Check> Checks(Action<double> perplexity)
        {
            Check structure = Check("structure", "sizes, texts and tokens in the file, names and shapes of its tensors, and those of the " +
                "checkpoint", "none: they are equal", file.Structure());
            yield return structure;
            if (!structure.Passed) yield break; // llama.cpp may end the process on what does not fit together
            yield return Check("settings", "bases of rotary positions, epsilons, flags and merges in the file, and those of the checkpoint",
                "none: they are equal", file.Settings());
            string widened = file.IsFloat32 ? path : $"{path}.f32-{Environment.ProcessId}.tmp";
            try
            {
                foreach (Check check in Computed(widened, perplexity)) yield return check;
            }
            finally
            {
                if (widened != path) File.Delete(widened);
            }
        }

        private IEnumerable<Check> Computed(string widened, Action<double> perplexity)
        {
            Check loading = Loading(widened);
            yield return loading;
            if (!loading.Passed) yield break;
            yield return Weights(widened);
            perplexity(OwnPerplexity());
            using LanguageModel model = file.LoadModel(widened);
            SequenceScorer scorer = SequenceScorer.For(model, checkpoint.Tokenizer);
            using (LlamaModel exact = LlamaCpp.Open(widened, context))
            {
                if (exact.HasTokenizer) yield return Tokens(exact);
                yield return Exact(exact, scorer);
            }
            if (file.IsFloat32) yield break;
            using LlamaModel stored = LlamaCpp.Open(path, context);
            yield return Stored(stored, scorer);
        }

        private Check Loading(string widened)
        {
            string[] problems = [];
            try
            {
                if (widened != path) LlamaCpp.Quantize(path, widened, LLamaFtype.ALL_F32);
                using LlamaModel model = LlamaCpp.Open(path, context);
                int rows = file.VocabularySize;
                if (model.VocabularySize != rows) problems = [$"llama.cpp finds {model.VocabularySize} tokens, and the model has {rows}"];
            }
            catch (LlamaException error)
            {
                problems = [$"llama.cpp does not take it: {error.Message}"];
            }
            return Check("loading", "whether llama.cpp takes the file, with as many tokens as the model has", "none", problems);
        }

        private Check Weights(string widened)
        {
            WeightAgreement agreement = file.Weights(widened);
            string largest = agreement.LargestRowError > 0 ? string.Create(CultureInfo.InvariantCulture, $"; the farthest is off by " +
                $"{agreement.LargestRowError:G3}") : "";
            return Check("weights", "every number in the file, as llama.cpp widens it to float32, and the checkpoint's",
                "none for F32, F16, BF16 and Q8_0, which are the checkpoint's numbers exactly rounded; for blocks of b < 8 bits, by " +
                $"llama.cpp's own quantizer, a row may be off by 4 · 2⁻ᵇ of its norm{largest}", agreement.Differences);
        }

        private Check Tokens(LlamaModel llama)
        {
            Tokenizer tokenizer = checkpoint.Tokenizer;
            List<string> differences = [];
            int alike = 0;
            foreach (string sample in text.Texts.Concat(Vocabulary(tokenizer)))
            {
                int[] here = tokenizer.EncodeWithSpecialTokens(sample), there = llama.Encode(sample);
                if (here.SequenceEqual(there)) alike++;
                else differences.Add($"{Quoted(sample)} is {Listed(there)} in llama.cpp, {Listed(here)} here");
            }
            return Check("tokens", $"the ids of {text.Texts.Count} texts and of the text of each token of the vocabulary, with special " +
                $"tokens: {alike} are equal", "none: ids are equal", differences);
        }

        private static IEnumerable<string> Vocabulary(Tokenizer tokenizer)
        {
            for (int id = 0; id < tokenizer.VocabularySize; id++)
            {
                string token = Encoding.UTF8.GetString(tokenizer.TokenBytes(id));
                if (token.Length > 0 && !token.Contains('\uFFFD') && token.IsNormalized()) yield return token;
            }
        }

        private Check Exact(LlamaModel llama, SequenceScorer scorer)
        {
            bool table = file.Architecture == "gpt2";
            double gap = table ? TableGap : ExactGap;
            WindowFigures[] windows = [.. text.Windows.Select(window => Figures(llama, scorer, window))];
            IEnumerable<string> differences = windows.SelectMany((window, i) => Differences(window, i, gap));
            return Check("float32", $"log-probabilities of the text's tokens and the {Likeliest} likeliest at each place, and a greedy " +
                $"continuation of up to {GreedyTokens} tokens, with the file's weights in float32, in llama.cpp (cache in float32, no " +
                "flash attention) and here",
                Invariant($"{gap} nats for each log-probability, and tokens that are likeliest here, too, or less than {2 * gap} nats ") +
                "less likely: " + (table ? "llama.cpp reads GELU from a table in float16, which moves a log-probability by up to 2e-3 in " +
                    "small models" : "float32 sums in another order move log-probabilities by up to 1e-5"), differences) with
            {
                Windows = windows,
            };
        }

        private static IEnumerable<string> Differences(WindowFigures window, int number, double gap)
        {
            // Not a number, as a damaged file may give, is beyond any tolerance.
            if (!(window.LargestGap <= gap))
                yield return Invariant($"window {number}: a log-probability is {window.LargestGap:G3} nats apart");
            if (!(window.LargestGreedyGap <= 2 * gap))
                yield return Invariant($"window {number}: {window.GreedyTokens - window.GreedyAlike} of {window.GreedyTokens} greedy ") +
                    Invariant($"tokens are others, less likely by up to {window.LargestGreedyGap:G3} nats");
        }

        private Check Stored(LlamaModel llama, SequenceScorer scorer)
        {
            // Measured: 9e-4, 8e-3 and 4e-2, for activations of 11 bits, 8 bits, and blocks in 8 bits with one scale.
            double mean = file.Types.Keys.Except(["F32", "F16", "BF16"]).Any() ? 0.1 : file.Types.ContainsKey("BF16") ? 0.03 : 0.005;
            WindowFigures[] windows = [.. text.Windows.Select(window => Figures(llama, scorer, window))];
            return Check("as stored", "the same with the file itself, against this program's model with the same rounded weights",
                Invariant($"{mean} nats in the mean over a window's tokens; single ones, and so greedy continuations, may differ: ") +
                "llama.cpp rounds activations to the type of the weights (to 8 bits for blocks), and this program does not",
                windows.SelectMany((window, i) => window.MeanGap <= mean ? (string[])[]
                    : [Invariant($"window {i}: log-probabilities are {window.MeanGap:G3} nats apart in the mean")])) with
            {
                Windows = windows,
            };
        }

        private double OwnPerplexity()
        {
            using LanguageModel model = checkpoint.LoadModel(CPU);
            SequenceScorer scorer = SequenceScorer.For(model, checkpoint.Tokenizer);
            double[] losses = [.. text.Windows.SelectMany(window =>
            {
                using Tensor logits = scorer.Logits(window);
                return scorer.Score(window, logits).NegativeLogLikelihood.OfType<double>().ToArray();
            })];
            return Math.Exp(losses.Average());
        }

        private WindowFigures Figures(LlamaModel llama, SequenceScorer scorer, int[] window)
        {
            using DisposeScope scope = NewDisposeScope();
            llama.Clear();
            Tensor there = LogProbabilities(llama.Read(window), window.Length), here = scorer.Logits(window).log_softmax(-1); // (T, V)
            Tensor next = tensor([.. window.Skip(1).Select(id => (long)id)]).unsqueeze(1); // (T−1, 1)
            Tensor ofText = here[..^1].gather(1, next) - there[..^1].gather(1, next); // (T−1, 1)
            Tensor likeliest = here.topk((int)Math.Min(Likeliest, here.size(1))).indexes; // (T, 20)
            Tensor ofLikeliest = here.gather(1, likeliest) - there.gather(1, likeliest);
            (int[] continuation, Tensor shortfall) = Continue(llama, scorer, window[..Prompt(window)]);
            string text = checkpoint.Tokenizer.Decode(window);
            return new()
            {
                Text = text.Length > Shown ? text[..Shown] + "…" : text,
                Tokens = window.Length,
                PerplexityHere = Perplexity(here[..^1].gather(1, next)),
                PerplexityThere = Perplexity(there[..^1].gather(1, next)),
                MeanGap = ofText.abs().mean().item<float>(),
                LargestGap = maximum(ofText.abs().max(), ofLikeliest.abs().max()).item<float>(),
                GreedyTokens = continuation.Length,
                GreedyAlike = (int)shortfall.eq(0).sum().item<long>(),
                LargestGreedyGap = continuation.Length == 0 ? 0 : shortfall.max().item<float>(),
            };
        }

        /// <summary>llama.cpp's greedy tokens, and how much likelier this program finds another one before each (T).</summary>
        private (int[] Tokens, Tensor Shortfall) Continue(LlamaModel llama, SequenceScorer scorer, int[] prompt)
        {
            int known = checkpoint.Tokenizer.VocabularySize; // embeddings may have padding rows
            List<int> tokens = [.. prompt];
            llama.Clear();
            float[] logits = llama.Read(prompt)[^llama.VocabularySize..];
            while (tokens.Count < Math.Min(prompt.Length + GreedyTokens, context))
            {
                tokens.Add(Argmax(logits.AsSpan(0, known)));
                logits = llama.Read([tokens[^1]]);
            }
            int[] continuation = [.. tokens.Skip(prompt.Length)];
            if (continuation.Length == 0) return ([], zeros(0));
            Tensor here = scorer.Logits(tokens)[(prompt.Length - 1)..^1].narrow(1, 0, known).log_softmax(-1); // (T, V)
            Tensor chosen = here.gather(1, tensor([.. continuation.Select(id => (long)id)]).unsqueeze(1)).squeeze(1);
            return (continuation, here.amax(1) - chosen);
        }

        private static int Argmax(ReadOnlySpan<float> logits)
        {
            int best = 0;
            for (int i = 1; i < logits.Length; i++)
                if (logits[i] > logits[best]) best = i;
            return best;
        }

        // Half a window at most, so that there is room for a continuation.
        private static int Prompt(int[] window) => Math.Clamp(window.Length / 2, 1, LongestPrompt);

        private static Tensor LogProbabilities(float[] logits, int rows) =>
            tensor(logits, [rows, logits.Length / rows]).log_softmax(-1);

        private static double Perplexity(Tensor logProbabilities) => Math.Exp(-logProbabilities.mean().item<float>());

        private static string Quoted(string sample) =>
            System.Text.Json.JsonSerializer.Serialize(sample.Length > 40 ? sample[..40] + "…" : sample);

        private static string Listed(int[] ids) => $"[{string.Join(", ", ids.Take(12))}{(ids.Length > 12 ? ", …" : "")}]";
    }

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);

    private static Check Check(string name, string compared, string tolerance, IEnumerable<string> differences)
    {
        string[] all = [.. differences];
        string[] listed = all.Length <= MostListed ? all : [.. all.Take(MostListed), $"… and {all.Length - MostListed} more"];
        return new(name, compared, tolerance) { Differences = listed };
    }
}
