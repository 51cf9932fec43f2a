import { createRoot } from "react-dom/client";
import "./ui/base.css";

createRoot(document.getElementById("root")!).render(<h1>Real-Time Distributed Chat</h1>);
