namespace Trainer.Text;

/// <summary>A place in the endless sequence of training windows.</summary>
/// <param name="Epoch">How often all windows have been visited.</param>
/// <param name="Index">How many windows of this epoch have been visited.</param>
public sealed record CropPosition(long Epoch, long Index);
