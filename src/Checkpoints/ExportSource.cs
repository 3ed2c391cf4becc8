using System.Text.Json.Nodes;
using Trainer.Checkpoints.Weights;
using Trainer.Data;
using Trainer.Models;

namespace Trainer.Checkpoints;

/// <summary>A model that is to be written in another program's format.</summary>
/// <param name="Name">What to call it.</param>
/// <param name="Model">Its configuration.</param>
/// <param name="Tokenizer">Its tokenizer.</param>
/// <param name="Weights">Its tensors under this program's names, open.</param>
/// <param name="Companions">The files that came with it, see <see cref="HuggingFace.CompanionFiles"/>.</param>
public sealed record ExportSource(
    string Name, ModelOptions Model, Tokenizer Tokenizer, IWeightSource Weights, IReadOnlyDictionary<string, JsonObject> Companions)
{
    /// <summary>Rows of the token embedding, V.</summary>
    public int VocabularySize => Model.EmbeddingRows(Tokenizer.VocabularySize);
}
