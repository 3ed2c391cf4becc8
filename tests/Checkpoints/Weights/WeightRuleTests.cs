using TorchSharp;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Checkpoints.Weights;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.FeedForward.Experts;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Tests.Weights;

/// <summary>An export reads what it writes, and that once, however many experts stand in one tensor.</summary>
public sealed class WeightRuleTests : IDisposable
{
    private const int Vocabulary = 40;

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(2)]
    [InlineData(16)]
    public void Experts_are_read_one_matrix_at_a_time(int experts)
    {
        CountedSource weights = Export(experts, source => HuggingFaceExport.Write(source, folder.PathOf("out")));
        Assert.Equal(weights.Bytes, weights.Read);
        Assert.Equal(Math.Max(Vocabulary, 24) * 16 * 4, weights.Largest); // the embedding; of the experts one matrix
    }

    [Fact]
    public void What_llama_cpp_keeps_stacked_is_read_no_more_than_twice()
    {
        CountedSource weights = Export(16, source => GgufExport.Write(source, folder.PathOf("model.gguf"), GgufType.F32));
        Assert.InRange(weights.Read, weights.Bytes, 2 * weights.Bytes);
    }

    private CountedSource Export(int experts, Action<ExportSource> write)
    {
        DecoderOptions model = new()
        {
            Dim = 16, Layers = 2, ContextLength = 32, VocabularySize = Vocabulary, Attention = new MultiHeadOptions { Heads = 2 },
            FeedForward = new ExpertsOptions { Experts = experts, Active = 2, HiddenDim = 24 },
        };
        string path = folder.PathOf("ours.safetensors");
        using DisposeScope scope = NewDisposeScope();
        using HuggingFaceImport ids = Goldens.Open("llama"); // for a tokenizer
        using (LanguageModel built = model.Build(Vocabulary))
            Safetensors.Write(path, built.state_dict().Select(entry => (entry.Key, entry.Value)));
        using WeightFiles files = WeightFiles.OpenFile(path);
        CountedSource counted = new(files);
        write(new("experts", model, ids.Tokenizer, counted, ids.Companions));
        return counted;
    }

    private sealed class CountedSource(WeightFiles inner) : IWeightSource
    {
        public long Bytes { get; } = inner.Names.Sum(name => inner.Info(name).Length);

        public long Read { get; private set; }

        public long Largest { get; private set; }

        public string Location => inner.Location;

        public IReadOnlyCollection<string> Names => inner.Names;

        public SafetensorsInfo Info(string name) => inner.Info(name);

        Tensor IWeightSource.Read(string name) => Count(inner.Read(name));

        Tensor IWeightSource.Read(string name, long start, IReadOnlyList<long> shape) => Count(inner.Read(name, start, shape));

        private Tensor Count(Tensor tensor)
        {
            long bytes = tensor.numel() * tensor.element_size();
            (Read, Largest) = (Read + bytes, Math.Max(Largest, bytes));
            return tensor;
        }
    }
}
