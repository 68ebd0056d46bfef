"""The words for scenes."""

from __future__ import annotations

SHAPES = (
    *("circle", "square", "triangle", "star", "heart", "cross"),
    *("diamond", "ring", "moon", "arrow", "house", "tree"),
)
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "white", "black")
LARGE = "large"
OTHER_SIZES = ("small", "medium")
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six")

CORNERS = (
    ("top left", "top", "top right"),
    ("left", "middle", "right"),
    ("bottom left", "bottom", "bottom right"),
)
"""Name of each cell of a picture, by row and column."""
IN_CORNERS = (
    ("at the top left", "at the top", "at the top right"),
    ("on the left", "in the middle", "on the right"),
    ("at the bottom left", "at the bottom", "at the bottom right"),
)
"""The same with prepositions."""
SPOTS = (
    ("in the back left corner", "at the back", "in the back right corner"),
    ("on the left", "in the middle", "on the right"),
    ("in the front left corner", "at the front", "in the front right corner"),
)
"""Name of each cell of a place, by row and column, as seen from the front."""

PLACES = {
    "kitchen": (
        *("kettle", "saucepan", "toaster", "spatula", "colander", "whisk", "ladle", "oven"),
        *("fridge", "dishwasher", "teapot", "grater", "rolling pin", "breadboard", "frying pan", "corkscrew"),
        *("blender", "microwave", "stove", "pepper mill", "cookbook", "saltshaker", "casserole", "apron"),
    ),
    "bathroom": (
        *("toothbrush", "bathtub", "towel", "shampoo", "razor", "sponge", "washbasin", "shower"),
        *("soap dish", "hairdryer", "bath mat", "toilet", "loofah", "toothpaste", "comb", "nail file"),
        *("bathrobe", "faucet", "plunger", "bidet", "hairbrush", "deodorant", "lotion", "cotton swab"),
    ),
    "bedroom": (
        *("pillow", "mattress", "blanket", "wardrobe", "nightstand", "duvet", "alarm clock", "eiderdown"),
        *("slipper", "bedspread", "quilt", "crib", "bunk bed", "dresser", "teddy bear", "nightgown"),
        *("headboard", "cushion", "bed sheet", "night light", "hot water bottle", "cradle", "hammock", "sleeping bag"),
    ),
    "garden": (
        *("rosebush", "lawnmower", "watering can", "wheelbarrow", "tulip", "hedge", "birdbath", "trowel"),
        *("flowerpot", "rake", "sprinkler", "daffodil", "greenhouse", "compost heap", "sunflower", "gnome"),
        *("spade", "lavender", "beehive", "trellis", "lily", "ivy", "fern", "hosepipe"),
    ),
    "workshop": (
        *("hammer", "screwdriver", "chisel", "wrench", "drill", "saw", "anvil", "file"),
        *("toolbox", "workbench", "clamp", "lathe", "crowbar", "sandpaper", "soldering iron", "spirit level"),
        *("vice", "mallet", "nail gun", "hacksaw", "ratchet", "plank", "welder", "tape measure"),
    ),
    "office": (
        *("stapler", "printer", "keyboard", "filing cabinet", "monitor", "paper clip", "desk", "envelope"),
        *("calculator", "notebook", "laptop", "telephone", "whiteboard", "shredder", "calendar", "ring binder"),
        *("fountain pen", "pencil", "scanner", "swivel chair", "invoice", "clipboard", "projector", "photocopier"),
    ),
    "beach": (
        *("seashell", "sandcastle", "surfboard", "parasol", "starfish", "sailboat", "crab", "seagull"),
        *("deckchair", "snorkel", "lighthouse", "jellyfish", "driftwood", "swimsuit", "frisbee", "sunscreen"),
        *("life jacket", "seaweed", "kayak", "pier", "anchor", "dune", "flip-flop", "buoy"),
    ),
    "farm": (
        *("tractor", "cow", "barn", "haystack", "sheep", "pig", "scarecrow", "hen"),
        *("goat", "plough", "silo", "rooster", "horse", "milk churn", "pitchfork", "duck"),
        *("donkey", "stable", "trough", "harvester", "goose", "windmill", "calf", "saddle"),
    ),
    "hospital": (
        *("stethoscope", "bandage", "syringe", "wheelchair", "stretcher", "thermometer", "scalpel", "crutch"),
        *("x-ray machine", "ambulance", "surgical mask", "pill", "defibrillator", "oxygen tank", "vaccine", "splint"),
        *("plaster cast", "operating table", "hearing aid", "incubator", "gurney", "catheter", "antiseptic", "sling"),
    ),
    "concert hall": (
        *("violin", "trumpet", "piano", "cello", "flute", "clarinet", "harp", "trombone"),
        *("oboe", "bassoon", "tuba", "xylophone", "kettledrum", "double bass", "saxophone", "cymbal"),
        *("music stand", "baton", "microphone", "viola", "snare drum", "piccolo", "metronome", "French horn"),
    ),
}
"""The things that belong in each place; no thing belongs in two."""
